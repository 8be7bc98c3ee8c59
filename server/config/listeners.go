package config

import (
	"fmt"
	"iter"
	"math"
	"net"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/server/access"
)

// Listeners holds what is set for one listener alone.
type Listeners struct {
	Ingest     Listener `yaml:"ingest,omitempty"`
	Query      Listener `yaml:"query,omitempty"`
	QueryHTTP  Listener `yaml:"query_http,omitempty"`
	Admin      Listener `yaml:"admin,omitempty"`
	Public     Listener `yaml:"public,omitempty"`
	Operations Listener `yaml:"operations,omitempty"`
}

// Listener bounds what may come in by a listener. Zero fields are the defaults.
type Listener struct {
	// Host is the name by which browsers reach it: those of query_http, public and
	// operations differ where they leave loopback.
	Host string `yaml:"host,omitempty"`
	// MaxConnections is how many connections may be open; further ones are closed.
	MaxConnections int `yaml:"max_connections,omitempty"`
	// MaxMessageBytes bounds one request.
	MaxMessageBytes int `yaml:"max_message_bytes,omitempty"`
	// RequestsPerSecond and Burst bound the calls of one caller, and of all callers
	// without an identity together; negative: no bound.
	RequestsPerSecond float64 `yaml:"requests_per_second,omitempty"`
	Burst             int     `yaml:"burst,omitempty"`
	// Deadline ends a call; streams are left alone. Negative: none.
	Deadline time.Duration `yaml:"deadline,omitempty"`
}

// DefaultListeners are the limits where none are configured. Producers are held
// back by the ledger's queue, not by a rate.
func DefaultListeners() Listeners {
	return Listeners{
		Ingest:     Listener{MaxConnections: 4096, MaxMessageBytes: 4 << 20, RequestsPerSecond: -1, Burst: -1, Deadline: -1},
		Query:      Listener{MaxConnections: 1024, MaxMessageBytes: 16 << 20, RequestsPerSecond: 5000, Burst: 10000, Deadline: time.Minute},
		QueryHTTP:  Listener{MaxConnections: 1024, MaxMessageBytes: 24 << 20, RequestsPerSecond: 5000, Burst: 10000, Deadline: time.Minute},
		Admin:      Listener{MaxConnections: 64, MaxMessageBytes: 1 << 20, RequestsPerSecond: 100, Burst: 200, Deadline: 10 * time.Minute},
		Public:     Listener{MaxConnections: 256, MaxMessageBytes: 64 << 10, RequestsPerSecond: 100, Burst: 200, Deadline: 10 * time.Second},
		Operations: Listener{MaxConnections: 64, MaxMessageBytes: 64 << 10, RequestsPerSecond: 100, Burst: 200, Deadline: time.Minute},
	}
}

// named yields the listeners with their names, in order.
func (l *Listeners) named() iter.Seq2[string, *Listener] {
	return func(yield func(string, *Listener) bool) {
		for i, to := range []*Listener{&l.Ingest, &l.Query, &l.QueryHTTP, &l.Admin, &l.Public, &l.Operations} {
			if !yield(access.Listeners[i], to) {
				return
			}
		}
	}
}

// Of returns what is set for a listener by its name; the zero value for none.
func (l *Listeners) Of(name string) Listener {
	for n, limits := range l.named() {
		if n == name {
			return *limits
		}
	}
	return Listener{}
}

// complete fills in the defaults.
func (l *Listeners) complete() {
	defaults := DefaultListeners()
	for name, to := range l.named() {
		d := defaults.Of(name)
		if to.MaxConnections == 0 {
			to.MaxConnections = d.MaxConnections
		}
		if to.MaxMessageBytes == 0 {
			to.MaxMessageBytes = d.MaxMessageBytes
		}
		if to.RequestsPerSecond == 0 {
			to.RequestsPerSecond = d.RequestsPerSecond
		}
		if to.Burst == 0 {
			if to.Burst = d.Burst; to.RequestsPerSecond != d.RequestsPerSecond {
				to.Burst = max(1, int(2*min(to.RequestsPerSecond, 1e6)))
			}
		}
		if to.Deadline == 0 {
			to.Deadline = d.Deadline
		}
	}
}

// check reports every fault of what was written.
func (l *Listeners) check() []error {
	var faults []error
	for name, to := range l.named() {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("listeners."+name+"."+format, args...))
		}
		if h := to.Host; h != "" && (strings.ContainsAny(h, " /:@*") || h != strings.ToLower(h)) && net.ParseIP(h) == nil {
			fault("host: %q is no host name in lower case", h)
		}
		if n := to.MaxConnections; n < 0 || n > 1<<20 {
			fault("max_connections: %d is not 1 to %d", n, 1<<20)
		}
		if n := to.MaxMessageBytes; n < 0 || n != 0 && n < 1<<10 || n > 64<<20 {
			fault("max_message_bytes: %d is not 1 KiB to 64 MiB", n)
		}
		if name == access.Ingest && to.MaxMessageBytes != 0 && to.MaxMessageBytes < 4<<20 {
			fault("max_message_bytes: %d is under 4 MiB, what an append may have", to.MaxMessageBytes)
		}
		if r := to.RequestsPerSecond; math.IsNaN(r) || r > 1e9 {
			fault("requests_per_second: %v is no rate up to 1e9", r)
		}
		if d := to.Deadline; d > 0 && d < 100*time.Millisecond {
			fault("deadline: %v is under 100ms", d)
		}
	}
	return faults
}

// browsed are the listeners that a browser may be pointed at.
var browsed = []string{access.QueryHTTP, access.Public, access.Operations}

// checkBrowsed refuses two listeners for browsers under one host name: the scope
// of cookies, and much of what a page may reach, does not know of ports.
func (c *Config) checkBrowsed() []error {
	var faults []error
	first := make(map[string]string)
	for _, name := range browsed {
		address := c.Listen.of(name)
		bound, _, err := net.SplitHostPort(address)
		host := c.Listeners.Of(name).Host
		if err != nil || loopback(bound) && host == "" {
			continue
		}
		if host == "" {
			host = bound
			if ip := net.ParseIP(bound); bound == "" || ip != nil && ip.IsUnspecified() {
				host = "every name of this machine"
			}
		}
		if other := first[host]; other != "" {
			faults = append(faults, fmt.Errorf(
				"%s and %s are reached by browsers under one name, %s, where a page or cookie of one is good on the other: "+
					"give each a name of its own in `listeners.%s.host` and `listeners.%s.host`, or keep one on loopback",
				other, name, host, other, name))
		}
		first[host] = name
	}
	return faults
}
