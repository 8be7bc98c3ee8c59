package detect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// An approval is one of an actor or a flow that is not over.
type approval struct {
	id, from, to string
	notAfter     int64  // UTC nanoseconds; 0: without end
	revocation   uint64 // index plus 1; 0: not revoked
	revoked      int64  // log time of that
	used         bool   // an authorized access rests on it
}

func (d *Detector) approve(e *Entry) {
	m := new(daybookv1.Approval)
	if proto.Unmarshal(e.Body, m) != nil || m.Subject != daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR &&
		m.Subject != daybookv1.ApprovalSubject_APPROVAL_SUBJECT_FLOW {
		return
	}
	r := d.approvals.put(e.Place.Index)
	if r == nil {
		d.overflow(e, tableApprovals)
		return
	}
	r.v = approval{id: m.Id, from: m.From, to: m.To, notAfter: m.NotAfterNs}
}

func (d *Detector) revoke(e *Entry) {
	m := new(daybookv1.Revocation)
	if proto.Unmarshal(e.Body, m) != nil {
		return
	}
	if r := d.approvals.get(m.Approval - 1); r != nil {
		r.v.revocation, r.v.revoked = e.Place.Index+1, e.Head.LogTimeNS
		d.approvals.touch(r)
	}
}

// over tells whether an approval ended at least Lateness before a time.
func (a *approval) over(end int64) bool {
	end -= int64(Lateness)
	return a.notAfter != 0 && a.notAfter <= end || a.revocation != 0 && a.revoked <= end
}

// close judges what is judged at a close.
func (d *Detector) close(e *Entry) {
	m := new(daybookv1.Close)
	if proto.Unmarshal(e.Body, m) != nil || m.PeriodEndNs <= m.PeriodStartNs {
		return
	}
	d.cuts = [2]uint64{d.cuts[1], m.Cut}
	d.closeCrossings(e, m)
	d.closeApprovals(e, m)
	d.closeFlows(e, m)
	d.closeClocks(e)
}

// closeApprovals looks for approvals that are over unused, and forgets those that
// are over.
func (d *Detector) closeApprovals(e *Entry, m *daybookv1.Close) {
	over := rowsWhere(d.approvals, func(a *approval) bool { return a.over(m.PeriodEndNs) })
	slices.SortFunc(over, func(a, b *row[uint64, approval]) int { return cmp.Compare(a.key, b.key) })
	n := 0
	for _, r := range over {
		d.approvals.drop(r)
		a := &r.v
		if a.used {
			continue
		}
		if n++; n > MaxAtClose {
			d.overflow(e, tableUnusedApprovals)
			continue
		}
		why, on := "its validity is over", rests(r.key)
		if a.revocation != 0 {
			why, on = "it was revoked", rests(r.key, a.revocation-1)
		}
		d.raise(e, "", &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_APPROVAL_UNUSED, Subject: approvalName(a.id, r.key), Source: a.from, Target: a.to,
			PeriodStartNs: m.PeriodStartNs, PeriodEndNs: m.PeriodEndNs, Entries: on, Detail: why + ", and no authorized access rests on it"})
	}
}

// closeFlows looks for flows that nobody used.
func (d *Detector) closeFlows(e *Entry, m *daybookv1.Close) {
	if e.Map == nil || e.Map.Document().UnusedDays == 0 {
		return
	}
	days := int64(e.Map.Document().UnusedDays)
	limit := (days + 1) * verify.Day // the day of the last use is none without
	unused := rowsWhere(d.flows, func(f *flowUse) bool { return !f.told && m.PeriodEndNs-f.since >= limit })
	slices.SortFunc(unused, func(a, b *row[string, flowUse]) int { return cmp.Compare(a.key, b.key) })
	n := 0
	for _, r := range unused {
		f := e.Map.Flow(r.key)
		if f == nil || f.NotAfterNs != 0 && f.NotAfterNs <= m.PeriodEndNs {
			continue
		}
		if n++; n > MaxAtClose {
			d.overflow(e, tableUnusedFlows)
			return // the others are told of at the next closes
		}
		r.v.told = true
		d.flows.touch(r)
		d.raise(e, "", &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_FLOW_UNUSED, Subject: "flow " + f.Id, Source: f.From, Target: f.To,
			PeriodStartNs: r.v.since, PeriodEndNs: r.v.since + limit, Entries: rests(e.Map.Index),
			Detail: fmt.Sprintf("no authorized access for %d days, since %s: it may be withdrawn", days, time.Unix(0, r.v.since).UTC().Format(time.DateOnly))})
	}
}

// A oneSided is what was seen of one pair.
type oneSided struct {
	*observedPair
	crossings []*row[crossingKey, crossing]
}

// closeCrossings looks for crossings that too few sides reported, and forgets
// those that were judged.
func (d *Detector) closeCrossings(e *Entry, m *daybookv1.Close) {
	judged := rowsWhere(d.crossings, func(c *crossing) bool { return c.time <= m.PeriodEndNs-int64(Lateness) })
	slices.SortFunc(judged, func(a, b *row[crossingKey, crossing]) int { return cmp.Compare(a.v.first, b.v.first) })
	var pairs []*oneSided
	byPair := map[*observedPair]*oneSided{}
	for _, r := range judged {
		r.key.pair.open--
		if r.v.missing() == 0 {
			d.crossings.drop(r)
			continue
		}
		p := byPair[r.key.pair]
		if p == nil {
			p = &oneSided{observedPair: r.key.pair}
			byPair[r.key.pair], pairs = p, append(pairs, p)
		}
		p.crossings = append(p.crossings, r)
	}
	for n, p := range pairs {
		if n < MaxAtClose {
			d.raise(e, "", p.alert(m))
		} else {
			d.overflow(e, tableOneSided)
		}
		for _, r := range p.crossings {
			d.crossings.drop(r)
		}
	}
}

// maxEntries is how many entries an alert names.
const maxEntries = 256

// alert is the alert of the crossings of one pair, whose first reports ascend.
func (p *oneSided) alert(m *daybookv1.Close) *daybookv1.Alert {
	var without [5]int
	on := make([]uint64, 0, min(len(p.crossings), maxEntries))
	for _, r := range p.crossings {
		for side, missing := 0, r.v.missing(); side < len(without); side++ {
			without[side] += int(missing >> side & 1)
		}
		if len(on) < maxEntries {
			on = append(on, r.v.first)
		}
	}
	var sides []string
	for side, n := range without {
		if n > 0 {
			sides = append(sides, fmt.Sprintf("%d lack the %s's", n, [...]string{"", "source", "target", "gateway", "collector"}[side]))
		}
	}
	return &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_ONE_SIDED, Subject: "crossings " + p.a + " -> " + p.b, Source: p.a, Target: p.b,
		PeriodStartNs: m.PeriodStartNs, PeriodEndNs: m.PeriodEndNs, Entries: rests(on...),
		Detail: fmt.Sprintf("%d crossings were not reported by every side that their flow expects: %s; entries are the first %d reports",
			len(p.crossings), strings.Join(sides, ", "), len(on))}
}

func rowsWhere[K comparable, V any](t *table[K, V], which func(*V) bool) (out []*row[K, V]) {
	for _, r := range t.rows {
		if which(&r.v) {
			out = append(out, r)
		}
	}
	return out
}
