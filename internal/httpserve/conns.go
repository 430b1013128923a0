package httpserve

import (
	"net"
	"net/http"
	"sync"
)

// conns counts the open connections and knows those that never sent anything.
type conns struct {
	mu    sync.Mutex
	most  int
	open  int
	fresh map[net.Conn]struct{}
}

func newConns(most int) conns { return conns{most: most, fresh: map[net.Conn]struct{}{}} }

// changed follows a connection as http.Server.ConnState tells of it. One above
// the limit is closed at once: to wait for room would let those who hold the
// others lock out everyone.
func (c *conns) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fresh, conn)
	switch state {
	case http.StateNew:
		c.open++
		c.fresh[conn] = struct{}{}
		if c.open > c.most {
			_ = conn.Close() // the server notices and tells StateClosed
		}
	case http.StateClosed, http.StateHijacked:
		c.open--
	}
}

// closeFresh closes the connections that carry no request yet, as clients keep
// in reserve. http.Server.Shutdown would wait five seconds for each.
func (c *conns) closeFresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.fresh {
		_ = conn.Close()
	}
}
