package detect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// MaxExpected bounds the expected producers with a silence limit.
const MaxExpected = 1 << 16

// An expected is a producer that the map expects to report.
type expected struct {
	limit int64  // how long it may have no entry, nanoseconds
	last  int64  // log time of its newest entry; without one of the map entry since which it has that limit
	at    uint64 // index of that entry, plus 1
	told  bool   // that it is silent since then
}

// enterExpected takes up the producers that a map expects, and forgets the
// others.
func (d *Detector) enterExpected(e *Entry) {
	limits := map[string]int64{}
	for _, domain := range e.Map.Document().Domains {
		for _, p := range domain.Producers {
			if limit := int64(min(p.SilenceLimitNs, math.MaxInt64/4)); limit > 0 && (limits[p.Id] == 0 || limit < limits[p.Id]) {
				limits[p.Id] = limit
			}
		}
	}
	for _, r := range d.expected.rows {
		if limits[r.key] == 0 {
			d.expected.drop(r)
		}
	}
	for _, domain := range e.Map.Document().Domains {
		for _, p := range domain.Producers {
			if limits[p.Id] != 0 && !d.expect(e, p.Id, limits[p.Id]) {
				d.overflow(e, tableExpected)
			}
		}
	}
	d.due = d.nextDue()
}

func (d *Detector) expect(e *Entry, id string, limit int64) bool {
	r := d.expected.get(id)
	if r == nil {
		if r = d.expected.put(id); r == nil {
			return false
		}
	}
	if r.v.limit != limit {
		r.v = expected{limit: limit, last: e.Head.LogTimeNS, at: e.Place.Index + 1}
		d.expected.touch(r)
	}
	return true
}

// Due is the log time after which an entry shows that an expected producer is
// silent, as far as is known; 0: never.
func (d *Detector) Due() int64 { return d.due }

func (d *Detector) nextDue() int64 {
	due := int64(math.MaxInt64)
	for _, r := range d.expected.rows {
		if !r.v.told {
			due = min(due, d.silentFrom(&r.v)+r.v.limit)
		}
	}
	if due == math.MaxInt64 {
		return 0
	}
	return due
}

// silentFrom is the beginning of a silence as far as it counts.
func (d *Detector) silentFrom(v *expected) int64 { return max(v.last, d.since) }

// listen looks for silence that the log time of an entry shows, before the entry
// itself is heard.
func (d *Detector) listen(e *Entry) {
	d.excuseAll(e)
	if d.due == 0 || e.Head.LogTimeNS <= d.due {
		return
	}
	silent := rowsWhere(d.expected, func(v *expected) bool { return !v.told && e.Head.LogTimeNS-d.silentFrom(v) > v.limit })
	slices.SortFunc(silent, func(a, b *row[string, expected]) int {
		return cmp.Or(cmp.Compare(d.silentFrom(&a.v)+a.v.limit, d.silentFrom(&b.v)+b.v.limit), strings.Compare(a.key, b.key))
	})
	for _, r := range silent {
		r.v.told = true
		d.expected.touch(r)
		from := d.silentFrom(&r.v)
		d.raise(e, r.key, &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_SILENCE, Subject: r.key,
			PeriodStartNs: from, PeriodEndNs: from + r.v.limit, Entries: []uint64{r.v.at},
			Detail: fmt.Sprintf("the domain map expects it to report, and it had no entry for longer than the %v that it may be silent", time.Duration(r.v.limit))})
	}
	d.due = d.nextDue()
}

// excuseAll lets no silence count before an entry that says that the ledger took
// nothing until then: the beginning of one of its own runs, or the end of a fault
// of its clock.
func (d *Detector) excuseAll(e *Entry) {
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_ORIGIN_OPENED:
		d.origin = string([]byte(e.Head.Producer))
	case daybookv1.Kind_KIND_RUN_OPENED:
		if e.Head.Producer == d.origin {
			d.since = e.Head.LogTimeNS
		}
	case daybookv1.Kind_KIND_ALERT:
		m := new(daybookv1.Alert)
		if proto.Unmarshal(e.Body, m) == nil && m.Type == daybookv1.AlertType_ALERT_TYPE_LEDGER_CLOCK {
			d.since = max(d.since, m.PeriodEndNs)
		}
	}
}

// hear notes an entry of whoever is expected.
func (d *Detector) hear(e *Entry) {
	r := d.from.expected
	if r == nil {
		return
	}
	if r.v.told {
		r.v.told = false
		d.due = min(d.due, e.Head.LogTimeNS+r.v.limit)
		if d.due == 0 {
			d.due = e.Head.LogTimeNS + r.v.limit
		}
	}
	r.v.last, r.v.at = e.Head.LogTimeNS, e.Place.Index+1
	d.expected.touch(r)
}

func encodeExpected(k string, v *expected) (key, value []byte) {
	var b encoder
	b.text(k)
	b.number(uint64(v.limit))
	b.number(uint64(v.last))
	b.number(v.at)
	b.flag(v.told)
	return nameKey(k), b
}

func decodeExpected(key, value []byte) (k string, v expected, ok bool) {
	in := decoder{b: value}
	k = in.text()
	v = expected{limit: int64(in.number()), last: int64(in.number()), at: in.number(), told: in.flag()}
	return k, v, string(nameKey(k)) == string(key) && in.ended()
}
