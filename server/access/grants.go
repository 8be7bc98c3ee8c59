package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/verify"
)

// Person is a caller as a listener authenticated it: a person, or a producer.
type Person struct {
	ID             string   // SPIFFE id, or `<issuer>#<subject>`
	Authentication string   // MTLS or OIDC
	Issuer         string   // of a token; empty for a certificate
	Subject        string   // of a token
	Groups         []string // of a token
}

// How a person was authenticated.
const (
	MTLS = "mtls"
	OIDC = "oidc"
)

// Grant gives a role to whoever it names, by a SPIFFE id or a pattern of them, by
// the subject of an OIDC issuer's tokens, or by a group in them.
type Grant struct {
	SPIFFE    string   `yaml:"spiffe,omitempty"`    // id; `x/*` all below x
	Issuer    string   `yaml:"issuer,omitempty"`    // of subject or group
	Subject   string   `yaml:"subject,omitempty"`   // exact
	Group     string   `yaml:"group,omitempty"`     // exact
	Role      string   `yaml:"role"`                // see doc.go
	Listeners []string `yaml:"listeners,omitempty"` // default: all where the role may do anything
	Domains   []string `yaml:"domains,omitempty"`   // of a reader: ids; default: all
	// Until ends the grant, exclusive; an examiner's needs it.
	Until time.Time `yaml:"until,omitempty"`
	// Requester is who asked for an examiner's grant, by identity; somebody else
	// must approve it.
	Requester string `yaml:"requester,omitempty"`
}

// Who is the person or group of the grant, as an approval names it.
func (g *Grant) Who() string {
	switch {
	case g.SPIFFE != "":
		return g.SPIFFE
	case g.Subject != "":
		return g.Issuer + "#" + g.Subject
	}
	return g.Issuer + "#group:" + g.Group
}

// Faults returns every fault of the grant; issuers are the configured ones.
func (g *Grant) Faults(issuers []string) []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	named := 0
	for _, s := range []string{g.SPIFFE, g.Subject, g.Group} {
		if s != "" {
			named++
		}
	}
	if named != 1 {
		fault("name exactly one of spiffe, subject and group")
	}
	if g.SPIFFE != "" {
		if err := (identity.Allow{g.SPIFFE}).Check(); err != nil {
			fault("spiffe: %w", err)
		}
		if g.Issuer != "" {
			fault("issuer: a SPIFFE id has none")
		}
	} else if !slices.Contains(issuers, g.Issuer) {
		fault("issuer: %q is none of people.oidc", g.Issuer)
	}
	role, err := ParseRole(g.Role)
	if err != nil {
		fault("role: %w", err)
		return faults
	}
	for _, l := range g.Listeners {
		if !slices.Contains(listenersOf(role), l) {
			fault("listeners: a %s may do nothing on %q, only on %s", g.Role, l, strings.Join(listenersOf(role), ", "))
		}
	}
	if len(g.Domains) > 0 && role != Reader {
		fault("domains: only a reader is limited to some")
	}
	for _, d := range g.Domains {
		if !strings.HasPrefix(d, "?") && verify.CanonicalDomain([]byte(d)) != d {
			fault("domains: %q is no domain id", d)
		}
	}
	return append(faults, g.examinerFaults(role)...)
}

// examinerFaults are what only an examiner's grant must and may have.
func (g *Grant) examinerFaults(role Role) []error {
	var faults []error
	switch {
	case role != Examiner:
		if g.Requester != "" {
			faults = append(faults, errors.New("requester: only an examiner's grant has one"))
		}
		return faults
	case g.Until.IsZero():
		faults = append(faults, errors.New("until: an examiner's grant ends at a time"))
	}
	if g.Requester == "" {
		faults = append(faults, errors.New("requester: say who asked for an examiner's grant; somebody else must approve it"))
	}
	if g.Group != "" || strings.HasSuffix(g.SPIFFE, "*") {
		faults = append(faults, errors.New("an examiner is one person: name a SPIFFE id or a subject, no pattern and no group"))
	}
	return faults
}

// names tells whether the grant names a person.
func (g *Grant) names(p *Person) bool {
	switch {
	case g.SPIFFE != "":
		return p.Authentication == MTLS && identity.Allow{g.SPIFFE}.Includes(p.ID)
	case p.Authentication != OIDC || p.Issuer != g.Issuer:
		return false
	case g.Subject != "":
		return p.Subject == g.Subject
	}
	return slices.Contains(p.Groups, g.Group)
}

type compiled struct {
	Grant
	role   Role
	listed bool // by a List
}

// Grants are all grants of a server. They are immutable and safe for concurrent
// use.
type Grants struct {
	byListener map[string][]compiled
}

// NewGrants compiles grants, and lists of SPIFFE ids that give a role on some
// listeners. Faults are the caller's to find before; a faulty grant is an error.
func NewGrants(grants []Grant, lists ...List) (*Grants, error) {
	g := &Grants{byListener: make(map[string][]compiled)}
	add := func(c compiled, listeners []string) {
		for _, l := range listeners {
			g.byListener[l] = append(g.byListener[l], c)
		}
	}
	for _, list := range lists {
		for _, pattern := range list.Allow {
			add(compiled{Grant{SPIFFE: pattern}, list.Roles, true}, list.Listeners)
		}
	}
	for i, grant := range grants {
		role, err := ParseRole(grant.Role)
		if err != nil {
			return nil, fmt.Errorf("grant %d: role: %w", i, err)
		}
		if len(grant.Listeners) == 0 {
			grant.Listeners = listenersOf(role)
		}
		add(compiled{grant, role, false}, grant.Listeners)
	}
	return g, nil
}

// List gives roles to SPIFFE ids: what the configuration's `access` says.
type List struct {
	Allow     identity.Allow
	Roles     Role
	Listeners []string
}

// Held is what a person holds on one listener.
type Held struct {
	Roles    Role
	Whole    Role                // roles that are not limited to domains
	Granted  Role                // roles that a grant gives, not a list alone
	Domains  map[string]struct{} // that the limited reader sees
	Until    time.Time           // the earliest end of what was counted; zero: none
	Approval uint64              // index of an examiner's approval, plus 1; 0: none
	Withheld []string            // why grants that name the person have no effect
}

// Of returns what a person holds on a listener now. Without approvals no
// examiner's grant takes effect. The error is that of reading approvals.
func (g *Grants) Of(ctx context.Context, p *Person, listener string, now time.Time, approvals Approvals) (Held, error) {
	var h Held
	for i := range g.byListener[listener] {
		c := &g.byListener[listener][i]
		if !c.names(p) {
			continue
		}
		if !c.Until.IsZero() && !now.Before(c.Until) {
			h.Withheld = append(h.Withheld, fmt.Sprintf("the grant as %s ended at %s", c.role, c.Until.UTC().Format(time.RFC3339)))
			continue
		}
		if c.role == Examiner {
			act := Act{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_EXAMINER, Name: c.Who(), Requester: c.Requester, AtNS: now.UnixNano()}
			a, err := approvals.approve(ctx, act)
			if refused := (*NotApprovedError)(nil); errors.As(err, &refused) {
				h.Withheld = append(h.Withheld, err.Error())
				continue
			}
			if err != nil {
				return Held{}, fmt.Errorf("looking for the approval of an examiner's grant: %w", err)
			}
			h.Approval = a.Index + 1
			h.end(time.Unix(0, a.Approval.GetNotAfterNs()))
		}
		h.take(c)
	}
	return h, nil
}

// take adds a grant that has effect.
func (h *Held) take(c *compiled) {
	h.Roles |= c.role
	h.end(c.Until)
	if !c.listed {
		h.Granted |= c.role
	}
	if len(c.Domains) == 0 {
		h.Whole |= c.role
		return
	}
	if h.Domains == nil {
		h.Domains = make(map[string]struct{}, len(c.Domains))
	}
	for _, d := range c.Domains {
		h.Domains[d] = struct{}{}
	}
}

func (h *Held) end(t time.Time) {
	if !t.IsZero() && t.UnixNano() != 0 && (h.Until.IsZero() || t.Before(h.Until)) {
		h.Until = t
	}
}

// Withhold takes roles away that no grant gives, and says why where there were any.
func (h *Held) Withhold(roles Role, why string) {
	roles &= h.Roles &^ h.Granted
	if roles == 0 {
		return
	}
	h.Roles, h.Whole = h.Roles&^roles, h.Whole&^roles
	h.Withheld = append(h.Withheld, why)
}

// May tells whether what is held suffices for a rule on a listener.
func (h *Held) May(r Rule, listener string) bool {
	return r.On(listener) && (r.Roles&Anyone != 0 || r.Roles&h.Roles != 0)
}

// Scope returns what a call under a rule may show.
func (h *Held) Scope(r Rule, id string) Scope {
	s := Scope{Whole: r.Roles&h.Whole&^(Producer|r.Partly) != 0 || r.Roles&Anyone != 0}
	if r.Partly&h.Roles&Approver != 0 {
		s.Governs = id
	}
	if !s.Whole && r.Roles&h.Roles&Reader != 0 {
		s.Domains = h.Domains
	}
	if r.Roles&h.Roles&Producer != 0 {
		s.Own = id
	}
	return s
}

// Describe says, a line each, who holds what on a listener.
func (g *Grants) Describe(listener string) []string {
	var lines []string
	for i := range g.byListener[listener] {
		c := &g.byListener[listener][i]
		line := c.Who() + " as " + c.role.String()
		switch {
		case c.SPIFFE == "*":
			line = "every certificate that is trusted, as " + c.role.String()
		case c.Group != "":
			line = "group " + c.Group + " of " + c.Issuer + " as " + c.role.String()
		}
		if len(c.Domains) > 0 {
			line += " of " + strings.Join(c.Domains, ", ")
		}
		if !c.Until.IsZero() {
			line += " until " + c.Until.UTC().Format(time.RFC3339)
		}
		if c.role == Examiner {
			line += ", while somebody other than " + c.Requester + " has approved it"
		}
		lines = append(lines, line)
	}
	return lines
}
