package drift

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// Answer is what a resolver says of one name.
type Answer struct {
	// Exists is false where the name does not (NXDOMAIN).
	Exists bool
	// Aliases are the canonical names that CNAME records led to, in order.
	Aliases []string
	// Addresses, canonical.
	Addresses []string
}

// Resolver looks names up. Its methods are safe for concurrent use.
type Resolver struct {
	// Server is its host:port.
	Server string
	// Timeout bounds one question; 0: 5 s.
	Timeout time.Duration
}

// SystemResolver is the first resolver that a file such as /etc/resolv.conf names.
func SystemResolver(file string) (*Resolver, error) {
	c, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the system's resolver: %w", err)
	}
	if len(c.Servers) == 0 {
		return nil, fmt.Errorf("reading the system's resolver: %s names none", file)
	}
	return &Resolver{Server: net.JoinHostPort(c.Servers[0], c.Port)}, nil
}

// Lookup asks for the addresses of a name. The error says that there was no
// usable answer; that a name does not exist is an answer.
func (r *Resolver) Lookup(ctx context.Context, name string) (Answer, error) {
	var a Answer
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		m, err := r.ask(ctx, name, typ)
		if err != nil {
			return a, fmt.Errorf("asking %s for %s: %w", r.Server, name, err)
		}
		a.Exists = a.Exists || m.Rcode == dns.RcodeSuccess
		for _, rr := range m.Answer {
			switch x := recordOf(rr); {
			case x.Type == "CNAME" && !slices.Contains(a.Aliases, x.Value):
				a.Aliases = append(a.Aliases, x.Value)
			case (x.Type == "A" || x.Type == "AAAA") && !slices.Contains(a.Addresses, x.Value):
				a.Addresses = append(a.Addresses, x.Value)
			}
		}
	}
	return a, nil
}

// ask puts one question, over TCP where the answer over UDP is cut.
func (r *Resolver) ask(ctx context.Context, name string, typ uint16) (*dns.Msg, error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), typ)
	q.SetEdns0(1232, false)
	for _, network := range []string{"udp", "tcp"} {
		c := &dns.Client{Net: network, Timeout: timeout}
		m, _, err := c.ExchangeContext(ctx, q, r.Server)
		if err != nil {
			return nil, err
		}
		if m.Truncated && network == "udp" {
			continue
		}
		if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
			return nil, errors.New("it answers " + dns.RcodeToString[m.Rcode])
		}
		return m, nil
	}
	return nil, errors.New("the answer is cut")
}
