package drift

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Defaults of a Config.
const (
	DefaultConcurrency = 16
	DefaultTimeout     = 10 * time.Second
	DefaultExpiry      = 30 * 24 * time.Hour
)

// Config says what is compared. All but Map may be left out.
type Config struct {
	// Map is the declared map. Not changed.
	Map *daybookv1.MapDocument
	// Zones are exports of DNS zones. Not changed.
	Zones []*Zone
	// Resolver is asked for the declared names and for targets of aliases; nil: none is.
	Resolver *Resolver
	// Targets are servers whose TLS and HTTP is looked at.
	Targets []Target
	// Roots complete the chains that servers send; nil: the system's.
	Roots *x509.CertPool
	// Paths are requested of each target; none: `/`.
	Paths []string
	// Infrastructures are states or plans of Terraform, compared together. Not changed.
	Infrastructures []*Infrastructure
	// Crossings are what the log holds; nil: they are not compared.
	Crossings *Crossings
	// Expiry is how long before its end a certificate is reported; 0: 30 days.
	Expiry time.Duration
	// Concurrency bounds questions and probes under way; 0: 16.
	Concurrency int
	// Timeout bounds one question or probe; 0: 10 s.
	Timeout time.Duration
	// Now is the clock; nil: the system's.
	Now func() time.Time
	// Progress hears how far a stage is; nil: nobody does. It is called by several
	// goroutines, one at a time.
	Progress func(stage string, done, total int)
}

func (c *Config) validate() error {
	if c.Map == nil {
		return errors.New("no domain map")
	}
	for _, t := range c.Targets {
		if t.Name == "" || t.Address == "" {
			return fmt.Errorf("target %q at %q lacks a name or an address", t.Name, t.Address)
		}
	}
	if c.Concurrency <= 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Expiry <= 0 {
		c.Expiry = DefaultExpiry
	}
	if len(c.Paths) == 0 {
		c.Paths = []string{"/"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// A scan is one comparison under way.
type scan struct {
	c      Config
	d      *declared
	result *Result
	mu     sync.Mutex // guards the calls of Progress
}

// Scan compares the map with every source. It waits for all probes; the error is
// that of the configuration or of ctx, never that of a source.
func Scan(ctx context.Context, c Config) (*Result, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("scanning for drift: %w", err)
	}
	s := &scan{c: c, d: declare(c.Map), result: &Result{Started: c.Now().UTC(), Scanned: []Scanned{}}}
	all := s.scanNames(ctx)
	if len(c.Targets) > 0 {
		all = append(all, s.scanTargets(ctx)...)
	}
	if len(c.Infrastructures) > 0 {
		all = append(all, s.scanInfrastructure()...)
	}
	if c.Crossings != nil {
		all = append(all, s.scanCrossings()...)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("scanning for drift: %w", err)
	}
	s.result.finish(all)
	s.result.Ended = c.Now().UTC()
	return s.result, nil
}

// scanNames compares zones and what the resolver says.
func (s *scan) scanNames(ctx context.Context) []Difference {
	n := newNamespace(s.c.Zones)
	out := compareZones(s.d, n, s.c.Resolver != nil)
	outside := map[string]int{}
	for _, z := range s.c.Zones {
		for _, r := range z.Records {
			if (r.Type == "CNAME" || r.Type == "ALIAS") && n.zoneOf(r.Value) == nil {
				outside[z.Source]++
			}
		}
		note := ""
		if s.c.Resolver == nil && outside[z.Source] > 0 {
			note = fmt.Sprintf("aliases that point outside of the zones: %d; without a resolver it is not known whether their targets exist", outside[z.Source])
		}
		s.scanned(z.Kind, z.Source, len(z.Records), note)
	}
	ends := map[string][]string{}
	for _, name := range s.d.dnsNames() {
		if n.zoneOf(name) != nil {
			ends[name] = n.ends(name)
		}
	}
	if s.c.Resolver != nil {
		out = append(out, s.scanResolver(ctx, n, ends)...)
	}
	return append(out, compareEnds(s.d, ends)...)
}

func (s *scan) scanned(kind, name string, items int, note string) {
	s.result.Scanned = append(s.result.Scanned, Scanned{kind, name, items, note})
}

// each does n things, so many at a time as the configuration says, each within
// its timeout, and returns when all are done. It begins none once ctx has ended.
func (s *scan) each(ctx context.Context, stage string, n int, do func(ctx context.Context, i int)) {
	var g errgroup.Group
	g.SetLimit(s.c.Concurrency)
	done := 0
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			limited, cancel := context.WithTimeout(ctx, s.c.Timeout)
			defer cancel()
			do(limited, i)
			s.mu.Lock()
			defer s.mu.Unlock()
			if done++; s.c.Progress != nil {
				s.c.Progress(stage, done, n)
			}
			return nil
		})
	}
	g.Wait() // no error is returned
}
