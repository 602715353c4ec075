package message

import "sync"

// A memo keeps up to maxMemo answers; then it forgets all and starts anew, so nobody can make it grow. The zero memo is
// empty. It is safe for concurrent use.
type memo[K comparable, V any] struct {
	mu      sync.RWMutex // guards answers
	answers map[K]V
}

const maxMemo = 1024

func (c *memo[K, V]) get(key K) (V, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.answers[key]
	return v, ok
}

func (c *memo[K, V]) put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil || len(c.answers) >= maxMemo {
		c.answers = make(map[K]V)
	}
	c.answers[key] = v
}
