package gossip

import (
	"bytes"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// What others do can fill a log: a message that repeats is written maxRepeats
// times a minute.
const maxRepeats = 5

// sampled is log, held to maxRepeats of each message.
func sampled(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(c, time.Minute, maxRepeats, 0)
	}))
}

// logWriter takes the lines of serf and memberlist, which begin with a level in
// brackets. Warnings and errors are warnings of crow's, sampled; the rest is
// for debugging, and so is everything while the member is leaving.
type logWriter struct {
	debug, warn *zap.Logger
	leaving     *atomic.Bool
}

func newLogWriter(log *zap.Logger, leaving *atomic.Bool) logWriter {
	return logWriter{debug: log, warn: sampled(log), leaving: leaving}
}

// Write implements io.Writer for one line.
func (w logWriter) Write(line []byte) (int, error) {
	serious, text := parseLine(line)
	if serious && !w.leaving.Load() {
		w.warn.Warn("trouble with gossip", zap.String("detail", text))
	} else {
		w.debug.Debug("gossip", zap.String("detail", text))
	}
	return len(line), nil
}

// parseLine splits off the level. A line without one is serious.
func parseLine(line []byte) (serious bool, text string) {
	line = bytes.TrimSpace(line)
	for _, level := range []string{"[DEBUG]", "[INFO]"} {
		if rest, ok := bytes.CutPrefix(line, []byte(level)); ok {
			return false, string(bytes.TrimSpace(rest))
		}
	}
	for _, level := range []string{"[ERR]", "[ERROR]", "[WARN]"} {
		if rest, ok := bytes.CutPrefix(line, []byte(level)); ok {
			return true, string(bytes.TrimSpace(rest))
		}
	}
	return true, string(line)
}
