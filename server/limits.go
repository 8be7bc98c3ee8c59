package server

import (
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/daybook-ledger/daybook/server/config"
)

// limitError says that a caller makes too many calls.
type limitError struct{ RetryAfter time.Duration }

func (e *limitError) Error() string {
	return fmt.Sprintf("too many calls: try again in %v", e.RetryAfter.Round(time.Millisecond))
}

const (
	// maxCallers bounds the callers whose rate is remembered. The longest silent
	// ones, as good as any whose bucket is full again, are forgotten.
	maxCallers = 4096
	// badTokens and badTokensBurst bound the bad tokens from one address, by second.
	badTokens      = 5
	badTokensBurst = 50
)

// callLimit bounds the calls of each caller of one listener. It is safe for
// concurrent use.
type callLimit struct {
	rate  rate.Limit // negative: no bound
	burst int

	mu      sync.Mutex
	callers map[string]*bucket // guarded by mu
}

type bucket struct {
	*rate.Limiter
	used time.Time // guarded by the callLimit's mu
}

func newCallLimit(l config.Listener) *callLimit {
	return &callLimit{rate: rate.Limit(l.RequestsPerSecond), burst: l.Burst, callers: make(map[string]*bucket)}
}

// take counts a call of a caller; a *limitError where it is one too many.
func (c *callLimit) take(name string, now time.Time) error {
	if c == nil || c.rate < 0 {
		return nil
	}
	b := c.bucket(name, c.rate, c.burst, now)
	if b.AllowN(now, 1) {
		return nil
	}
	return &limitError{max(time.Millisecond, time.Duration(float64(time.Second)/float64(c.rate)))}
}

// wait refuses who has spent its tries, without counting one.
func (c *callLimit) wait(name string, now time.Time) error {
	if c == nil || c.bucket(name, badTokens, badTokensBurst, now).TokensAt(now) >= 1 {
		return nil
	}
	return &limitError{time.Second}
}

// spend counts a try.
func (c *callLimit) spend(name string, now time.Time) {
	if c != nil {
		c.bucket(name, badTokens, badTokensBurst, now).AllowN(now, 1)
	}
}

func (c *callLimit) bucket(name string, limit rate.Limit, burst int, now time.Time) *rate.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.callers[name]
	if b == nil {
		if len(c.callers) >= maxCallers {
			c.forget()
		}
		b = &bucket{Limiter: rate.NewLimiter(limit, burst)}
		c.callers[name] = b
	}
	b.used = now
	return b.Limiter
}

// forget drops the callers that were silent for the longest, an eighth of all.
func (c *callLimit) forget() {
	oldest, newest := time.Time{}, time.Time{}
	for _, b := range c.callers {
		if oldest.IsZero() || b.used.Before(oldest) {
			oldest = b.used
		}
		if b.used.After(newest) {
			newest = b.used
		}
	}
	mark := oldest.Add(newest.Sub(oldest) / 8)
	for name, b := range c.callers {
		if !b.used.After(mark) {
			delete(c.callers, name)
		}
	}
}

// A boundedListener closes what it accepts beyond a number of open connections:
// what waits in the kernel would be answered by nobody.
type boundedListener struct {
	net.Listener
	max     int
	opened  func()
	closed  func()
	refused func()

	mu   sync.Mutex
	open int // guarded by mu
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.enter() {
			return &boundedConn{Conn: conn, l: l}, nil
		}
		l.refused()
		conn.Close()
	}
}

func (l *boundedListener) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.max {
		return false
	}
	l.open++
	l.opened()
	return true
}

func (l *boundedListener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	l.closed()
}

type boundedConn struct {
	net.Conn
	l    *boundedListener
	once sync.Once
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.once.Do(c.l.leave)
	return c.Conn.Close()
}
