package conn

// Queued is how many calls wait for a lane.
func (b *Batch) Queued() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queued)
}
