package gossip

import (
	"bytes"
	"strings"
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
	switch {
	case !serious || w.leaving.Load():
		w.debug.Debug("gossip", zap.String("detail", text))
	case isForeign(text):
		w.warn.Warn("gossip refused: it is not sealed with a key of this host", zap.String("detail", text))
	default:
		w.warn.Warn("trouble with gossip", zap.String("detail", text))
	}
	return len(line), nil
}

// isForeign tells what strangers send, and hosts that have missed a key, from
// other trouble. They can send much of it, and so have a message of their own,
// which leaves the other its share of the log.
func isForeign(text string) bool {
	for _, sign := range []string{
		"Decrypt packet failed", "no installed keys could decrypt",
		"encryption is configured but remote state is not encrypted", "encryption is not configured",
	} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
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
