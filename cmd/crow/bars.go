package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"crow/internal/release"
)

// barWidth is the bars' width, in columns; what stands beside them is about as
// wide, and terminals have 80.
const barWidth = 24

// bars shows progress on a terminal: a bar for the upload, then one for the
// fleet.
type bars struct {
	progress *mpb.Progress
	sending  *mpb.Bar
	began    time.Time    // sending
	sent     atomic.Value // string beside its bar; read by the renderer
	rollout  *mpb.Bar
	text     atomic.Value // likewise
}

func newBars(std streams) *bars {
	return &bars{progress: mpb.New(mpb.WithOutput(std.err), mpb.WithAutoRefresh())}
}

func (b *bars) upload(verb string, done, total int64) {
	if b.sending == nil {
		b.began = time.Now()
	}
	b.sent.Store(sentText(done, total, time.Since(b.began)))
	if b.sending == nil {
		b.sending = b.addBar(total, verb, &b.sent)
	}
	b.sending.SetCurrent(done)
}

// sentText is what stands beside the bar of an upload.
func sentText(done, total int64, took time.Duration) string {
	text := fmt.Sprintf("%s of %s", release.Size(done), release.Size(total))
	if took > 0 {
		text += ", " + release.Rate(float64(done)/took.Seconds()).String()
	}
	return text
}

// addBar adds a bar with a name before and a text, a string, behind it.
func (b *bars) addBar(total int64, name string, text *atomic.Value) *mpb.Bar {
	return b.progress.AddBar(total, mpb.BarWidth(barWidth),
		mpb.PrependDecorators(decor.Name(name)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			text, _ := text.Load().(string)
			return text
		})))
}

func (b *bars) fleet(f fleet, rate float64, running time.Duration) {
	text := f.counts()
	if f.wave != "" {
		text = f.wave + ", " + text
	}
	if traffic := f.traffic(rate); traffic != "" {
		text += ", " + traffic
	}
	b.text.Store(text + ", " + seconds(running))
	if b.rollout == nil {
		b.endUpload()
		b.rollout = b.addBar(barTotal, f.ref.String(), &b.text)
	}
	b.rollout.SetCurrent(min(f.done(), barTotal-1)) // full only when it is over
	if f.reached() == f.hosts {
		b.rollout.SetCurrent(barTotal)
	}
}

func (b *bars) endUpload() {
	if b.sending != nil {
		b.sending.Abort(false) // nothing, if it is complete
	}
}

// note writes a line above the bars.
func (b *bars) note(line string) {
	if _, err := b.progress.Write([]byte(line + "\n")); err != nil {
		return // the bars are closed already: the result tells the same
	}
}

func (b *bars) alert(line string) { b.note(line) }

func (b *bars) close() {
	b.endUpload()
	if b.rollout != nil {
		b.rollout.Abort(false)
	}
	b.progress.Wait()
}
