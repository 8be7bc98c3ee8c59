package detect

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// keptDays is for how many days a producer's key is known after its last use.
const keptDays = 31

// A credential is where a fingerprint was first used on this day.
type credential struct {
	domain string
	first  uint64 // index
	told   bool
}

// A producerKey is who first used a key.
type producerKey struct {
	producer string
	first    uint64 // index
	day      int64  // of its last use
	told     int64  // newest day on which its reuse was told; 0: none
}

// access judges an access.
func (d *Detector) access(e *Entry) {
	if len(e.Event.Credential) == len(verify.Hash{}) {
		d.useCredential(e)
	}
	if e.Map == nil {
		return
	}
	d.readClock(e)
	switch e.Place.Verdict {
	case daybookv1.Verdict_VERDICT_AUTHORIZED:
		d.use(e)
	case daybookv1.Verdict_VERDICT_UNDECLARED:
		d.findUndeclared(e)
	case daybookv1.Verdict_VERDICT_FORBIDDEN:
		d.findForbidden(e)
	case daybookv1.Verdict_VERDICT_UNMAPPED:
		d.findUnmapped(e)
	case daybookv1.Verdict_VERDICT_REVOKED:
		d.findRevoked(e)
	}
	if len(d.observed) > 0 && len(e.Event.CorrelationID) > 0 && e.Place.Side != 0 {
		d.report(e)
	}
}

// nameless tells the ids that name no domain.
func nameless(id string) bool {
	return id == "" || id[0] == '?' || id == "unknown" || id == "anonymous"
}

// useCredential looks for a credential in two domains.
func (d *Detector) useCredential(e *Entry) {
	fingerprint := verify.Hash(e.Event.Credential)
	r := d.credentials.get(fingerprint)
	if r != nil && (r.v.told || r.v.domain == e.Place.Source) || nameless(e.Place.Source) {
		return
	}
	if r == nil {
		if r = d.credentials.put(fingerprint); r == nil {
			d.overflow(e, tableCredentials)
			return
		}
		r.v = credential{domain: string([]byte(e.Place.Source)), first: e.Place.Index}
		return
	}
	r.v.told = true
	d.credentials.touch(r)
	d.raise(e, d.from.name, &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_CREDENTIAL_REUSE,
		Subject: "credential " + hex.EncodeToString(fingerprint[:]), Source: r.v.domain, Target: string([]byte(e.Place.Source)),
		Entries: rests(r.v.first, e.Place.Index),
		Detail:  fmt.Sprintf("one credential was used from %s, then from %s: each domain has its own credentials", r.v.domain, e.Place.Source)})
}

// meetKey looks for a producer's key in two producers. A zero fingerprint is no
// key.
func (d *Detector) meetKey(e *Entry) {
	if e.Head.KeyFingerprint == (verify.Hash{}) {
		return
	}
	r := d.keys.get(e.Head.KeyFingerprint)
	if r == nil {
		if r = d.keys.put(e.Head.KeyFingerprint); r == nil {
			d.overflow(e, tableKeys)
			return
		}
		r.v = producerKey{producer: string([]byte(e.Head.Producer)), first: e.Place.Index, day: d.day}
		return
	}
	if r.v.day != d.day {
		r.v.day = d.day
		d.keys.touch(r)
	}
	if r.v.producer == e.Head.Producer || r.v.told == d.day {
		return
	}
	r.v.told = d.day
	d.keys.touch(r)
	d.raise(e, d.from.name, &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_KEY_REUSE,
		Subject: "key " + hex.EncodeToString(e.Head.KeyFingerprint[:]), Entries: rests(r.v.first, e.Place.Index),
		Detail: fmt.Sprintf("producers %s and %s use one key: whoever has it speaks for both", r.v.producer, e.Head.Producer)})
}

// rests returns what an alert rests on, as it stands in alerts: each index plus
// 1, ascending.
func rests(indexes ...uint64) []uint64 {
	out := make([]uint64, 0, len(indexes))
	for _, i := range indexes {
		out = append(out, i+1)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// once notes a key in a table; false: it is there already, or there is no room.
func (d *Detector) once(e *Entry, t *table[pair, struct{}], a, b string) bool {
	if t.get(pair{a, b}) != nil {
		return false
	}
	if t.put(pair{string([]byte(a)), string([]byte(b))}) == nil {
		d.overflow(e, t.name)
		return false
	}
	return true
}

func crossingName(e *Entry) string { return e.Place.Source + " -> " + e.Place.Target }

func (d *Detector) findUndeclared(e *Entry) {
	if !d.once(e, d.undeclared, e.Place.Source, e.Place.Target) {
		return
	}
	d.raisePair(e, daybookv1.AlertType_ALERT_TYPE_UNDECLARED_FLOW, fmt.Sprintf("%s under map %d", crossingName(e), e.Map.Index),
		rests(e.Map.Index, e.Place.Index), "no flow of the domain map declares what this access did; it is the first of its pair under this map")
}

func (d *Detector) findForbidden(e *Entry) {
	if !d.once(e, d.forbidden, e.Place.Source, e.Place.Target) {
		return
	}
	tier := func(id string) string { return tierName(e.Map.Domain(id).GetTier()) }
	d.raisePair(e, daybookv1.AlertType_ALERT_TYPE_FORBIDDEN_TIER, crossingName(e), rests(e.Map.Index, e.Place.Index),
		fmt.Sprintf("an access from %s to %s was not denied: no flow may permit it", tier(e.Place.Source), tier(e.Place.Target)))
}

func (d *Detector) findUnmapped(e *Entry) {
	for _, side := range []struct {
		id   string
		name []byte
		what string
	}{{e.Place.Source, e.Event.SourceDomain, "source"}, {e.Place.Target, e.Event.TargetDomain, "target"}} {
		if e.Map.Domain(side.id) != nil {
			continue
		}
		if name := clip(string(side.name), 2048); d.once(e, d.unmapped, name, "") {
			d.raisePair(e, daybookv1.AlertType_ALERT_TYPE_UNMAPPED, name, rests(e.Place.Index),
				"the domain map has no domain of this name, which stands as the "+side.what+" of an access")
		}
	}
}

func (d *Detector) findRevoked(e *Entry) {
	a := e.Grounds.Approval
	if a == nil || !d.once(e, d.revoked, fmt.Sprint(a.Index), "") {
		return
	}
	on := []uint64{a.Index, e.Place.Index}
	if a.Revocation != 0 {
		on = append(on, a.Revocation-1)
	}
	d.raisePair(e, daybookv1.AlertType_ALERT_TYPE_REVOKED_USE, approvalName(a.Body.Id, a.Index), rests(on...),
		fmt.Sprintf("an access from %s to %s rests on it after its revocation", e.Place.Source, e.Place.Target))
}

func approvalName(id string, index uint64) string { return fmt.Sprintf("approval %s at %d", id, index) }

// raisePair raises an alert about the pair of an access.
func (d *Detector) raisePair(e *Entry, typ daybookv1.AlertType, subject string, on []uint64, detail string) {
	d.raise(e, d.from.name, &daybookv1.Alert{Type: typ, Subject: subject, Source: string([]byte(e.Place.Source)),
		Target: string([]byte(e.Place.Target)), Entries: on, Detail: detail})
}

// An observedPair is a pair of domains that some flow expects observers of, or
// did.
type observedPair struct {
	pair
	expected bool // by a flow of the map in force
	open     int  // crossings of it that wait
}

// A crossingKey names a crossing.
type crossingKey struct {
	id   [32]byte // see crossingID
	pair *observedPair
}

// A crossing is one that not all expected sides have reported equally often.
type crossing struct {
	first   uint64 // index of its first report
	time    int64  // when it occurred, by its first report
	want    uint8  // bit n: side n is expected; 0: not known, for it was only denied
	reports [5]uint8
}

// crossingID makes a correlation id a key of one length: up to 31 bytes they are
// the id behind its length, else the first 31 bytes of its SHA-256 behind 0xff.
func crossingID(id []byte) (key [32]byte) {
	if len(id) <= 31 {
		key[0] = byte(len(id))
		copy(key[1:], id)
		return key
	}
	sum := sha256.Sum256(id)
	key[0] = 0xff
	copy(key[1:], sum[:31])
	return key
}

// lastFlow spares the look-ups where one flow follows itself.
type lastFlow struct {
	flow *daybookv1.Flow
	want uint8
	pair *observedPair
	use  *row[string, flowUse]
}

// on returns what is known of a flow.
func (d *Detector) on(f *daybookv1.Flow) *lastFlow {
	if l := &d.lastFlow; l.flow != f {
		*l = lastFlow{flow: f, want: observers(f), use: d.flows.get(f.Id)}
		if l.want != 0 {
			l.pair = d.observed[pair{f.From, f.To}]
		}
	}
	return &d.lastFlow
}

// observers returns the sides that a flow expects, as bits.
func observers(f *daybookv1.Flow) (want uint8) {
	for _, side := range f.Observers {
		if side >= 1 && side <= 4 {
			want |= 1 << side
		}
	}
	return want
}

// report counts a report of a crossing. One that was denied has no flow: it
// counts for a crossing of its pair that another side allowed.
func (d *Detector) report(e *Entry) {
	var want uint8
	var p *observedPair
	switch {
	case e.Grounds.Flow != nil:
		l := d.on(e.Grounds.Flow)
		want, p = l.want, l.pair
		if want>>e.Place.Side&1 == 0 {
			return
		}
	case e.Place.Verdict == daybookv1.Verdict_VERDICT_DENIED:
		p = d.observed[pair{e.Place.Source, e.Place.Target}]
	}
	if p == nil || !p.expected || e.Place.Side > 4 {
		return
	}
	key := crossingKey{crossingID(e.Event.CorrelationID), p}
	r := d.crossings.get(key)
	if r == nil {
		if r = d.crossings.put(key); r == nil {
			d.overflow(e, tableCrossings)
			return
		}
		r.v = crossing{first: e.Place.Index, time: occurred(e)}
		p.open++
	}
	r.v.want |= want
	if n := &r.v.reports[e.Place.Side]; *n < 255 {
		*n++
	}
	d.crossings.touch(r)
	if r.v.complete() {
		p.open--
		d.crossings.drop(r)
	}
}

// occurred is when the other reports of a crossing begin to be waited for: when it
// occurred, but not after its log time, which is that of a backfill.
func occurred(e *Entry) int64 {
	if e.Head.Provenance == daybookv1.Provenance_PROVENANCE_BACKFILL {
		return e.Head.LogTimeNS
	}
	return min(e.Event.OccurredAtNS, e.Head.LogTimeNS)
}

// complete tells whether all expected sides have reported equally often.
func (c *crossing) complete() bool {
	n := uint8(0)
	for side := range c.reports {
		if c.want>>side&1 == 0 {
			continue
		}
		if c.reports[side] == 0 || n != 0 && c.reports[side] != n {
			return false
		}
		n = c.reports[side]
	}
	return n != 0
}

// missing returns the expected sides that have not reported, as bits.
func (c *crossing) missing() (sides uint8) {
	for side := range c.reports {
		if c.want>>side&1 == 1 && c.reports[side] == 0 {
			sides |= 1 << side
		}
	}
	return sides
}

func tierName(t daybookv1.Tier) string {
	return map[daybookv1.Tier]string{daybookv1.Tier_TIER_PRODUCTION: "production", daybookv1.Tier_TIER_STAGING: "staging",
		daybookv1.Tier_TIER_TEST: "test", daybookv1.Tier_TIER_DEVELOPMENT: "development"}[t]
}

// producerDomain is the domain of a producer under a map; nil: none.
func producerDomain(v *domains.Version, producer string) *daybookv1.Domain {
	name, err := verify.ProducerDomain(producer)
	if err != nil {
		return nil
	}
	id, ok := v.Resolve([]byte(name))
	if !ok {
		return nil
	}
	return v.Domain(id)
}
