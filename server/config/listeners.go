package config

import (
	"fmt"
	"iter"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/verify"
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
	// Certificate and Key are PEM files of the listener's own certificate, chain
	// included, read again when they change; default: one of the private CA. The
	// public listener speaks plain HTTP without.
	Certificate string `yaml:"certificate,omitempty"`
	Key         string `yaml:"key,omitempty"`
	// Trust maps domains to the PEM files of the only CAs by which their clients are
	// let in here, and no other domain's are; default: the configuration's trust, and
	// the private CA.
	Trust map[string]string `yaml:"trust,omitempty"`
}

// Trusting are the listeners that take client certificates.
var Trusting = []string{access.Ingest, access.Query, access.QueryHTTP, access.Admin, access.Public}

// filesCheck reports the faults of the files of one listener.
func (l *Listener) filesCheck(name string, fault func(format string, args ...any)) {
	if (l.Certificate == "") != (l.Key == "") {
		fault("certificate: a certificate needs its key, and a key its certificate")
	}
	if len(l.Trust) > 0 && !slices.Contains(Trusting, name) {
		fault("trust: this listener asks for no client certificate")
	}
	for domain, path := range l.Trust {
		if _, err := verify.ProducerDomain("spiffe://" + domain + "/x"); err != nil {
			fault("trust: domain %q: %w", domain, err)
		}
		if path == "" {
			fault("trust.%s: names no file", domain)
		}
	}
}

// resolve makes relative paths relative to dir.
func (l *Listeners) resolve(dir string) {
	for _, to := range l.named() {
		for _, path := range []*string{&to.Certificate, &to.Key} {
			if *path != "" && !filepath.IsAbs(*path) {
				*path = filepath.Join(dir, *path)
			}
		}
		for domain, path := range to.Trust {
			if path != "" && !filepath.IsAbs(path) {
				to.Trust[domain] = filepath.Join(dir, path)
			}
		}
	}
}

// DefaultListeners are the limits where none are configured. Producers are held
// back by the ledger's queue, not by a rate.
func DefaultListeners() Listeners {
	return Listeners{
		Ingest:     Listener{MaxConnections: 4096, MaxMessageBytes: 4 << 20, RequestsPerSecond: -1, Burst: -1, Deadline: -1},
		Query:      Listener{MaxConnections: 1024, MaxMessageBytes: 16 << 20, RequestsPerSecond: 5000, Burst: 10000, Deadline: time.Minute},
		QueryHTTP:  Listener{MaxConnections: 1024, MaxMessageBytes: 24 << 20, RequestsPerSecond: 5000, Burst: 10000, Deadline: time.Minute},
		Admin:      Listener{MaxConnections: 64, MaxMessageBytes: 1 << 20, RequestsPerSecond: 100, Burst: 200, Deadline: 10 * time.Minute},
		Public:     Listener{MaxConnections: 256, MaxMessageBytes: 64 << 10, RequestsPerSecond: 2000, Burst: 4000, Deadline: 10 * time.Second},
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
		if h := to.Host; h != "" && (strings.ContainsAny(h, " /:@*") || h != strings.ToLower(h) || strings.HasSuffix(h, ".")) && net.ParseIP(h) == nil {
			fault("host: %q is no host name in lower case without a dot at its end", h)
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
		to.filesCheck(name, fault)
	}
	return faults
}

// browsed are the listeners that a browser may be pointed at.
var browsed = []string{access.QueryHTTP, access.Public, access.Operations}

// everyName is the host of a listener that is reached by whatever leads to the
// machine.
const everyName = "every name of this machine"

// checkBrowsed refuses two listeners for browsers under one host name: the scope
// of cookies, and much of what a page may reach, does not know of ports.
func (c *Config) checkBrowsed() []error {
	var faults []error
	hosts := make(map[string]string)
	for _, name := range browsed {
		host := c.browsedAs(name)
		if host == "" {
			continue
		}
		for _, other := range browsed {
			as := hosts[other]
			if as == "" || as != host && as != everyName && host != everyName {
				continue
			}
			if as == everyName {
				as = host
			}
			faults = append(faults, fmt.Errorf(
				"%s and %s are reached by browsers under one name, %s, where a page or cookie of one is good on the other: "+
					"give each a name of its own in `listeners.%s.host` and `listeners.%s.host`, or keep one on loopback",
				other, name, as, other, name))
		}
		hosts[name] = host
	}
	return faults
}

// browsedAs is the host name by which browsers reach a listener; empty where it is
// on loopback and no name was given.
func (c *Config) browsedAs(name string) string {
	if host := c.Listeners.Of(name).Host; host != "" {
		return plainHost(host)
	}
	bound, _, err := net.SplitHostPort(c.Listen.of(name))
	if err != nil || loopback(bound) {
		return ""
	}
	if ip := net.ParseIP(bound); bound == "" || ip != nil && ip.IsUnspecified() {
		return everyName
	}
	return plainHost(bound)
}

// plainHost writes a host in one way.
func plainHost(host string) string {
	if ip := net.ParseIP(host); ip != nil {
		return ip.String()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
