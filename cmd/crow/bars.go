package main

import (
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// barWidth is the bars' width, in columns; what stands beside them is about as
// wide, and terminals have 80.
const barWidth = 24

// bars shows progress on a terminal: a bar for the upload, then one for the
// fleet.
type bars struct {
	progress *mpb.Progress
	sending  *mpb.Bar
	rollout  *mpb.Bar
	text     atomic.Value // string beside the fleet's bar; read by the renderer
}

func newBars(std streams) *bars {
	return &bars{progress: mpb.New(mpb.WithOutput(std.err), mpb.WithAutoRefresh())}
}

func (b *bars) upload(verb string, done, total int64) {
	if b.sending == nil {
		b.sending = b.progress.AddBar(total, mpb.BarWidth(barWidth),
			mpb.PrependDecorators(decor.Name(verb)),
			mpb.AppendDecorators(decor.CountersKibiByte("% .1f of % .1f"), decor.Name(" "), decor.AverageSpeed(decor.SizeB1000(0), "% .1f")))
	}
	b.sending.SetCurrent(done)
}

func (b *bars) fleet(f fleet, rate float64, running time.Duration) {
	text := f.counts()
	if traffic := f.traffic(rate); traffic != "" {
		text += ", " + traffic
	}
	b.text.Store(text + ", " + seconds(running))
	if b.rollout == nil {
		b.endUpload()
		b.rollout = b.progress.AddBar(barTotal, mpb.BarWidth(barWidth),
			mpb.PrependDecorators(decor.Name(f.ref.String())),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
				text, _ := b.text.Load().(string)
				return text
			})))
	}
	b.rollout.SetCurrent(min(f.done(), barTotal-1)) // full only when it is over
	if f.active() == f.hosts {
		b.rollout.SetCurrent(barTotal)
	}
}

func (b *bars) endUpload() {
	if b.sending != nil && !b.sending.Completed() {
		b.sending.Abort(false)
	}
}

// note writes a line above the bars.
func (b *bars) note(line string) {
	if _, err := b.progress.Write([]byte(line + "\n")); err != nil {
		return // the bars are closed already: the result tells the same
	}
}

func (b *bars) close() {
	b.endUpload()
	if b.rollout != nil && !b.rollout.Completed() {
		b.rollout.Abort(false)
	}
	b.progress.Wait()
}
