package detect

import (
	"fmt"
	"slices"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// A flowUse is when a flow was last used. Days are enough, so that an access
// rarely changes it.
type flowUse struct {
	since int64 // start of the day of its last use; without one of what it waits from
	told  bool  // that it is unused since then
}

// enter takes up the map that comes into force with an entry.
func (d *Detector) enter(e *Entry) {
	d.mapIndex = e.Map.Index
	d.undeclared.clear()
	d.lastFlow = lastFlow{}
	d.observe(e.Map)
	d.enterFlows(e)
	d.enterExpected(e)
	d.findShared(e)
}

// observe takes up the pairs whose crossings are expected to be seen. Those of
// which crossings wait stay.
func (d *Detector) observe(v *domains.Version) {
	for key, p := range d.observed {
		if p.expected = false; p.open == 0 {
			delete(d.observed, key)
		}
	}
	for _, f := range v.Document().Flows {
		if observers(f) != 0 {
			d.observedPair(pair{f.From, f.To}).expected = true
		}
	}
}

func (d *Detector) observedPair(key pair) *observedPair {
	p := d.observed[key]
	if p == nil {
		p = &observedPair{pair: key}
		d.observed[key] = p
	}
	return p
}

// enterFlows takes up the flows that a map declares, and forgets the others.
func (d *Detector) enterFlows(e *Entry) {
	document := e.Map.Document()
	for _, r := range d.flows.rows {
		if document.UnusedDays == 0 || e.Map.Flow(r.key) == nil {
			d.flows.drop(r)
		}
	}
	if document.UnusedDays == 0 {
		return
	}
	for _, f := range document.Flows {
		if d.flows.get(f.Id) == nil {
			d.flows.force(f.Id).v.since = verify.DayStart(max(e.Map.LogTimeNS, f.NotBeforeNs))
		}
	}
}

// findShared looks for hosting that two tiers share.
func (d *Detector) findShared(e *Entry) {
	type tenant struct{ tiers, domains []string }
	hosts := map[pair]*tenant{}
	var order []pair
	for _, domain := range e.Map.Document().Domains {
		h := domain.GetHosting()
		if h.GetAccount() == "" {
			continue
		}
		key := pair{h.Account, h.Network}
		t := hosts[key]
		if t == nil {
			t = new(tenant)
			hosts[key], order = t, append(order, key)
		}
		if tier := tierName(domain.Tier); !slices.Contains(t.tiers, tier) {
			t.tiers = append(t.tiers, tier)
		}
		t.domains = append(t.domains, domain.Id+" ("+tierName(domain.Tier)+")")
	}
	n := 0
	for _, key := range order {
		t := hosts[key]
		if len(t.tiers) < 2 {
			continue
		}
		if n++; n > MaxAtClose {
			d.overflow(e, tableShared)
			return
		}
		d.raise(e, "", &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_SHARED_HOSTING,
			Subject: fmt.Sprintf("hosting %s under map %d", hostName(key), e.Map.Index), Entries: rests(e.Map.Index),
			Detail: "two tiers share it: " + strings.Join(t.domains, ", ")})
	}
}

func hostName(key pair) string {
	if key.b == "" {
		return key.a
	}
	return key.a + "/" + key.b
}

// use notes an authorized access.
func (d *Detector) use(e *Entry) {
	if f := e.Grounds.Flow; f != nil {
		if r := d.on(f).use; r != nil && r.v.since < d.day {
			r.v = flowUse{since: d.day}
			d.flows.touch(r)
		}
	}
	if a := e.Grounds.Approval; a != nil {
		if r := d.approvals.get(a.Index); r != nil && !r.v.used {
			r.v.used = true
			d.approvals.touch(r)
		}
	}
}
