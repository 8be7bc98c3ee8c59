package config

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/token"
)

// People says who, beside producers, may do what.
type People struct {
	OIDC   []OIDC         `yaml:"oidc,omitempty"`   // issuers whose tokens are accepted
	Grants []access.Grant `yaml:"grants,omitempty"` // roles
}

// OIDC is an issuer of people's tokens.
type OIDC struct {
	Issuer     string            `yaml:"issuer"`               // URL, exactly as in its tokens
	Audience   map[string]string `yaml:"audience"`             // by listener: query, query_http, admin, public; all different
	CA         string            `yaml:"ca,omitempty"`         // PEM file that vouches for the issuer; default: the system's
	Algorithms []string          `yaml:"algorithms,omitempty"` // default: RS256, PS256, ES256, EdDSA
	Groups     string            `yaml:"groups,omitempty"`     // claim with the groups; default: groups
	ClockSkew  *time.Duration    `yaml:"clock_skew,omitempty"` // default 30s, at most 5m
}

// The defaults of an issuer.
const (
	clockSkew    = 30 * time.Second
	maxClockSkew = 5 * time.Minute
)

// tokenListeners are the listeners that people use.
var tokenListeners = []string{access.Query, access.QueryHTTP, access.Admin, access.Public}

// check reports every fault of what was written about people.
func (p *People) check() []error {
	var faults []error
	var issuers []string
	for i := range p.OIDC {
		o := &p.OIDC[i]
		for _, err := range o.check() {
			faults = append(faults, fmt.Errorf("people.oidc[%d]: %w", i, err))
		}
		if slices.Contains(issuers, o.Issuer) {
			faults = append(faults, fmt.Errorf("people.oidc[%d]: issuer %q stands twice", i, o.Issuer))
		}
		issuers = append(issuers, o.Issuer)
	}
	for i := range p.Grants {
		for _, err := range p.Grants[i].Faults(issuers) {
			faults = append(faults, fmt.Errorf("people.grants[%d]: %w", i, err))
		}
	}
	return faults
}

func (o *OIDC) check() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(o.Issuer, "#? ") || len(o.Issuer) > 256 {
		fault("issuer: %q is no https URL without query and fragment", o.Issuer)
	}
	if len(o.Audience) == 0 {
		fault("audience: name one for a listener at least")
	}
	seen := make(map[string]string)
	for _, listener := range slices.Sorted(maps.Keys(o.Audience)) {
		name := o.Audience[listener]
		switch {
		case !slices.Contains(tokenListeners, listener):
			fault("audience: %q is no listener for people: those are %s", listener, strings.Join(tokenListeners, ", "))
		case name == "":
			fault("audience.%s: is empty", listener)
		case seen[name] != "":
			fault("audience: %s and %s have the same, so that a token of one would do for the other", seen[name], listener)
		}
		seen[name] = listener
	}
	for _, a := range o.Algorithms {
		if !slices.Contains(token.Algorithms, a) {
			fault("algorithms: %q is none of %s", a, strings.Join(token.Algorithms, ", "))
		}
	}
	if s := o.ClockSkew; s != nil && (*s < 0 || *s > maxClockSkew) {
		fault("clock_skew: %v is not 0s to %v", *s, maxClockSkew)
	}
	return faults
}

// resolve makes relative paths relative to dir.
func (p *People) resolve(dir string) {
	for i := range p.OIDC {
		if ca := p.OIDC[i].CA; ca != "" && !filepath.IsAbs(ca) {
			p.OIDC[i].CA = filepath.Join(dir, ca)
		}
	}
}

// complete fills in the defaults.
func (p *People) complete() {
	for i := range p.OIDC {
		o := &p.OIDC[i]
		if len(o.Algorithms) == 0 {
			o.Algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}
		}
		if o.Groups == "" {
			o.Groups = "groups"
		}
		if o.ClockSkew == nil {
			skew := clockSkew
			o.ClockSkew = &skew
		}
	}
}

// grants tells whether any grant is of one of the roles.
func (p *People) grants(roles ...string) bool {
	return slices.ContainsFunc(p.Grants, func(g access.Grant) bool { return slices.Contains(roles, g.Role) })
}

// Grants compiles what `access` and `people` say of a completed configuration.
// Where people are approvers by name, `access.query` makes nobody one.
func (c *Config) Grants() (*access.Grants, error) {
	readers := access.Reader | access.Approver
	if c.People.grants("approver") {
		readers = access.Reader
	}
	return access.NewGrants(c.People.Grants,
		access.List{Allow: c.Access.Ingest, Roles: access.Producer, Listeners: []string{access.Ingest, access.Query, access.QueryHTTP}},
		access.List{Allow: c.Access.Query, Roles: readers, Listeners: []string{access.Query, access.QueryHTTP}},
		access.List{Allow: c.Access.Admin, Roles: access.Operator, Listeners: []string{access.Admin}},
	)
}
