package client

// Waiting is how many requests wait for an answer.
func (c *Client) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.session.waiting)
}
