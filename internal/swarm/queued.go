package swarm

// queueFrames has whole frames sent by flushQueued.
func (c *conn) queueFrames(frames []byte) {
	c.queue.Lock()
	defer c.queue.Unlock()
	c.queued = append(c.queued, frames...)
}

// show queues Have frames of pieces.
func (c *conn) show(pieces []int) {
	var frames []byte
	for _, p := range pieces {
		frames = appendHave(frames, p)
	}
	c.queueFrames(frames)
}

// tell shows pieces, as soon as nobody is writing.
func (c *conn) tell(pieces []int) {
	c.show(pieces)
	c.flush()
}

// flush is flushQueued where nobody takes an error.
func (c *conn) flush() {
	if err := c.flushQueued(); err != nil {
		c.raw.Close() // the client's reader sees it next
	}
}

// flushQueued sends what is queued, unless a writer is at work, which then
// does it when it is done. It never waits for one: the reader calls it.
func (c *conn) flushQueued() error {
	for c.hasQueued() && c.writing.TryLock() {
		err := c.writeQueued()
		c.writing.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) hasQueued() bool {
	c.queue.Lock()
	defer c.queue.Unlock()
	return len(c.queued) > 0
}

// writeQueued needs c.writing. Between two writes of the client the stream is at
// a boundary, but for one that failed midway, after which the connection ends.
func (c *conn) writeQueued() error {
	c.queue.Lock()
	frames := c.queued
	c.queued = nil
	c.queue.Unlock()
	if !c.out.atBoundary() {
		return nil
	}
	_, err := c.Conn.Write(frames)
	return err
}
