package httpserve

import (
	"bytes"
	"log"

	"go.uber.org/zap"
)

// errorLog takes what net/http has to say, such as a handler's panic or a
// failed accept, into the log under one constant message.
func errorLog(l *zap.Logger) *log.Logger { return log.New(errorWriter{l}, "", 0) }

type errorWriter struct{ log *zap.Logger }

// Write implements io.Writer; one call is one message.
func (w errorWriter) Write(p []byte) (int, error) {
	w.log.Warn("http server", zap.ByteString("error", bytes.TrimSpace(p)))
	return len(p), nil
}
