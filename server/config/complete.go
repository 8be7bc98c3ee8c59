package config

import (
	"errors"
	"fmt"
	"net"

	"github.com/daybook-ledger/daybook/server/identity"
)

// Defaults are the addresses of the listeners where none are configured.
func Defaults() Listen {
	return Listen{
		Ingest:     "127.0.0.1:7401",
		Query:      "127.0.0.1:7402",
		QueryHTTP:  "127.0.0.1:7403",
		Admin:      "127.0.0.1:7404",
		Public:     "127.0.0.1:7405",
		Operations: "127.0.0.1:7406",
	}
}

type namedAddress struct {
	name    string
	address *string
}

// named returns the addresses with their keys, in order.
func (l *Listen) named() []namedAddress {
	return []namedAddress{
		{"ingest", &l.Ingest}, {"query", &l.Query}, {"query_http", &l.QueryHTTP},
		{"admin", &l.Admin}, {"public", &l.Public}, {"operations", &l.Operations},
	}
}

// of returns the address of a listener; empty for none.
func (l *Listen) of(name string) string {
	for _, n := range l.named() {
		if n.name == name {
			return *n.address
		}
	}
	return ""
}

// Override replaces the addresses that are set in over: those of flags.
func (l *Listen) Override(over Listen) {
	from := over.named()
	for i, to := range l.named() {
		if *from[i].address != "" {
			*to.address = *from[i].address
		}
	}
}

// Complete fills in the defaults for a log whose trust domain is domain and
// checks what flags may have changed: the addresses. The error names every fault.
func (c *Config) Complete(domain string) error {
	listen := Defaults()
	listen.Override(c.Listen)
	c.Listen = listen
	if c.Access.Ingest == nil {
		c.Access.Ingest = identity.Allow{"*"}
	}
	c.People.complete()
	c.Listeners.complete()
	if c.Access.Query == nil && !c.People.grants("reader", "examiner", "production-officer") {
		c.Access.Query = identity.Allow{"*"}
	}
	if c.Access.Admin == nil && !c.People.grants("operator") {
		c.Access.Admin = identity.Allow{"spiffe://" + domain + "/operator"}
	}
	if c.Limits.QueueBytes == 0 {
		c.Limits.QueueBytes = 64 << 20
	}
	if c.Verification.Period == nil {
		period := VerificationPeriod
		c.Verification.Period = &period
	}
	c.completeWitnesses()
	return errors.Join(c.check(), c.checkLoopback(), c.checkPublicTokens(), c.checkDistinct(), errors.Join(c.checkBrowsed()...))
}

// checkLoopback refuses addresses that other machines may reach unless that was
// asked for. The public listener never leaves loopback without a certificate.
func (c *Config) checkLoopback() error {
	var faults []error
	for _, l := range c.Listen.named() {
		host, _, err := net.SplitHostPort(*l.address)
		if err != nil || loopback(host) {
			continue
		}
		switch {
		case l.name == "public" && c.Listeners.Public.Certificate == "":
			faults = append(faults, fmt.Errorf(
				"%s address %s is not loopback: it speaks plain HTTP; put a TLS proxy before 127.0.0.1, or give it `listeners.public.certificate` and `key`", l.name, *l.address))
		case !c.AllowRemote:
			faults = append(faults, fmt.Errorf(
				"%s address %s is not loopback: other machines could reach it; pass --allow-remote or set `allow_remote: true` if that is meant", l.name, *l.address))
		}
	}
	return errors.Join(faults...)
}

// checkDistinct refuses one address for two listeners; port 0 is another each time.
func (c *Config) checkDistinct() error {
	var faults []error
	first := make(map[string]string)
	for _, l := range c.Listen.named() {
		host, port, err := net.SplitHostPort(*l.address)
		if err != nil || port == "0" {
			continue
		}
		at := net.JoinHostPort(plainHost(host), port)
		if other := first[at]; other != "" {
			faults = append(faults, fmt.Errorf("listen.%s and listen.%s are both %s: each listener has an address of its own", other, l.name, *l.address))
		}
		first[at] = l.name
	}
	return errors.Join(faults...)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// CertificateHosts are the names and IP addresses that the listeners'
// certificates cover: loopback, the configured hosts, and the addresses
// listened on.
func (c *Config) CertificateHosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	seen := map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}
	add := func(host string) {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() || seen[host] {
			return
		}
		seen[host] = true
		hosts = append(hosts, host)
	}
	for _, host := range c.Hosts {
		add(host)
	}
	for _, l := range c.Listeners.named() {
		add(l.Host)
	}
	for _, l := range c.Listen.named() {
		if host, _, err := net.SplitHostPort(*l.address); err == nil {
			add(host)
		}
	}
	return hosts
}
