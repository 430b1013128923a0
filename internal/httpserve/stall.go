package httpserve

import (
	"io"
	"net/http"
	"time"
)

// watchStalls gives a request deadlines that move on with its bytes: a body
// that sends nothing, or a client that takes nothing, fails after limit. The
// server itself lifts them before the connection's next request.
func watchStalls(w http.ResponseWriter, r *http.Request, limit time.Duration) (http.ResponseWriter, *http.Request) {
	c := http.NewResponseController(w)
	if r.Body != nil && r.Body != http.NoBody {
		// For a handler that never reads: the server then skips the body itself.
		// Connections of net/http always take deadlines.
		_ = c.SetReadDeadline(time.Now().Add(limit))
		watched := *r
		watched.Body = &stallBody{ReadCloser: r.Body, conn: c, limit: limit}
		r = &watched
	}
	return &stallWriter{ResponseWriter: w, conn: c, limit: limit}, r
}

type stallBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	limit time.Duration
	ended bool
}

// Read implements io.Reader. From the body's end on the server itself reads, to
// see the client hang up: a deadline then would cancel a request whose handler
// takes its time.
func (b *stallBody) Read(p []byte) (int, error) {
	if !b.ended {
		if err := b.conn.SetReadDeadline(time.Now().Add(b.limit)); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || err == io.EOF
	return n, err
}

type stallWriter struct {
	http.ResponseWriter
	conn  *http.ResponseController
	limit time.Duration
}

// Write implements http.ResponseWriter.
func (w *stallWriter) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.limit)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find what the connection can do.
func (w *stallWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
