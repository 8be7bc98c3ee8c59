package detect

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// Rows is where a detector's state is kept: keys of at most 512 bytes.
type Rows interface {
	Set(key, value []byte) error
	Delete(key []byte) error
}

type tableName uint8

const (
	tableMeta tableName = iota
	tableCredentials
	tableKeys
	tableProducers
	tableUndeclared
	tableForbidden
	tableUnmapped
	tableRevoked
	tableCrossings
	tableApprovals
	tableFlows
	tableExpected
	tableOwed
	// Not tables: what is too much at one time.
	tableShared
	tableUnusedApprovals
	tableUnusedFlows
	tableOneSided
)

// tablePrefixes are the first bytes of the tables' keys.
var tablePrefixes = [...]byte{tableMeta: 'm', tableCredentials: 'c', tableKeys: 'k', tableProducers: 'p', tableUndeclared: 'u', tableForbidden: 'f',
	tableUnmapped: 'n', tableRevoked: 'r', tableCrossings: 'x', tableApprovals: 'a', tableFlows: 'w', tableExpected: 's', tableOwed: 'o'}

// overflowSubject begins the subjects of a detector's alerts of OVERFLOW: no
// domain's id has a colon.
const overflowSubject = "detector: "

var overflowWords = map[tableName]string{
	tableCredentials:     fmt.Sprintf("over %d credentials on one day: further ones are not looked at", MaxCredentials),
	tableKeys:            fmt.Sprintf("over %d producer keys within %d days: further ones are not looked at", MaxKeys, keptDays),
	tableProducers:       fmt.Sprintf("over %d producers on one day: the clocks of further ones are not looked at", MaxProducers),
	tableUndeclared:      fmt.Sprintf("over %d undeclared pairs under one map: further ones are not told of", MaxPairs),
	tableForbidden:       fmt.Sprintf("over %d forbidden pairs on one day: further ones are not told of", MaxSubjects),
	tableUnmapped:        fmt.Sprintf("over %d names that the map does not know on one day: further ones are not told of", MaxSubjects),
	tableRevoked:         fmt.Sprintf("over %d revoked approvals used on one day: further ones are not told of", MaxSubjects),
	tableCrossings:       fmt.Sprintf("over %d crossings wait for a report: further ones are not looked at", MaxCrossings),
	tableApprovals:       fmt.Sprintf("over %d approvals are not over: whether further ones are used is not looked at", MaxApprovals),
	tableExpected:        fmt.Sprintf("over %d expected producers: silence of further ones is not looked at", MaxExpected),
	tableShared:          fmt.Sprintf("over %d hosting accounts are shared by two tiers: further ones are not told of", MaxAtClose),
	tableUnusedApprovals: fmt.Sprintf("over %d approvals ended unused at one close: further ones are not told of", MaxAtClose),
	tableUnusedFlows:     fmt.Sprintf("over %d flows are unused at one close: further ones are told of at the next closes", MaxAtClose),
	tableOneSided:        fmt.Sprintf("over %d pairs have one-sided crossings at one close: further ones are not told of", MaxAtClose),
}

// overflow makes the log owe the alert that a table has no room, once a day.
func (d *Detector) overflow(e *Entry, name tableName) {
	if d.overflowed>>name&1 == 1 {
		return
	}
	d.overflowed |= 1 << name
	words := overflowWords[name]
	d.raise(e, "", &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_OVERFLOW, Subject: overflowSubject + words,
		Entries: rests(e.Place.Index), Detail: words})
}

func (d *Detector) makeTables() {
	pairs := func(name tableName, limit int) *table[pair, struct{}] {
		return newTable(name, limit, func(k pair, _ *struct{}) (key, value []byte) { return pairKey(k), nil },
			func(key, value []byte) (pair, struct{}, bool) {
				k, ok := parsePair(key)
				return k, struct{}{}, ok && len(value) == 0
			})
	}
	d.undeclared, d.forbidden = pairs(tableUndeclared, MaxPairs), pairs(tableForbidden, MaxSubjects)
	d.unmapped, d.revoked = pairs(tableUnmapped, MaxSubjects), pairs(tableRevoked, MaxSubjects)
	d.credentials = newTable(tableCredentials, MaxCredentials, encodeCredential, decodeCredential)
	d.keys = newTable(tableKeys, MaxKeys, encodeKey, decodeKey)
	d.producers = newTable(tableProducers, MaxProducers, encodeProducer, decodeProducer)
	d.crossings = newTable(tableCrossings, MaxCrossings, encodeCrossing, d.decodeCrossing)
	d.crossings.pooled = true
	d.approvals = newTable(tableApprovals, MaxApprovals, encodeApproval, decodeApproval)
	d.flows = newTable(tableFlows, 1<<16, encodeFlow, decodeFlow)
	d.expected = newTable(tableExpected, MaxExpected, encodeExpected, decodeExpected)
	d.owed = newTable(tableOwed, 1<<31-1, encodeOwed, decodeOwed)
}

func newTable[K comparable, V any](name tableName, limit int, encode func(K, *V) (key, value []byte),
	decode func(key, value []byte) (K, V, bool)) *table[K, V] {
	return &table[K, V]{name: name, limit: limit, rows: map[K]*row[K, V]{}, encode: encode, decode: decode}
}

func (d *Detector) tables() []saver {
	return []saver{d.credentials, d.keys, d.producers, d.undeclared, d.forbidden, d.unmapped, d.revoked, d.crossings, d.approvals, d.flows, d.expected, d.owed}
}

// StateKey is the key of the row that every saved state has.
var StateKey = []byte{tablePrefixes[tableMeta]}

// Save gives what changed since the last save.
func (d *Detector) Save(to Rows) error {
	for _, t := range d.tables() {
		if err := t.save(to); err != nil {
			return err
		}
	}
	return to.Set(StateKey, d.meta())
}

// Saved notes that what Save gave is kept. Whoever keeps nothing calls it alone,
// so that what changed does not pile up.
func (d *Detector) Saved() {
	for _, t := range d.tables() {
		t.settled()
	}
}

// All gives the whole state as rows.
func (d *Detector) All(set func(key, value []byte) error) error {
	for _, t := range d.tables() {
		if err := t.all(set); err != nil {
			return err
		}
	}
	return set(StateKey, d.meta())
}

var errRow = errors.New("a row of the detectors is damaged")

// Load takes one row of a saved state into a new detector, strictly: All gives the
// same bytes. [Detector.Loaded] must be called after the last.
func (d *Detector) Load(key, value []byte) error {
	if len(key) == 0 {
		return errRow
	}
	if bytes.Equal(key, StateKey) {
		return d.parseMeta(value)
	}
	for _, t := range d.tables() {
		if t.prefix() == key[0] {
			if !t.load(key[1:], value) {
				return fmt.Errorf("%w: %x", errRow, key)
			}
			return nil
		}
	}
	return fmt.Errorf("%w: %x", errRow, key)
}

// Loaded ends the loading. v is the map in force, nil for none.
func (d *Detector) Loaded(v *domains.Version) error {
	d.order = d.order[:0]
	for _, r := range d.owed.rows {
		if r.key >= d.seq {
			return errRow
		}
		d.order = append(d.order, r)
	}
	slices.SortFunc(d.order, func(a, b *row[uint64, Owed]) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	d.due = d.nextDue()
	if d.mapIndex == 0 {
		return nil
	}
	if v == nil || v.Index != d.mapIndex {
		return errRow
	}
	d.observe(v)
	return nil
}

func (d *Detector) meta() []byte {
	var b encoder
	for _, v := range []uint64{uint64(d.day), d.mapIndex, uint64(d.told), uint64(d.overflowed), d.seq, d.cuts[0], d.cuts[1], uint64(d.since)} {
		b.number(v)
	}
	b.text(d.origin)
	return b
}

func (d *Detector) parseMeta(value []byte) error {
	in := decoder{b: value}
	day, mapIndex, told, overflowed, seq := in.number(), in.number(), in.number(), in.number(), in.number()
	d.cuts, d.since, d.origin = [2]uint64{in.number(), in.number()}, int64(in.number()), in.text()
	if !in.ended() {
		return errRow
	}
	d.day, d.mapIndex, d.told, d.overflowed, d.seq = int64(day), mapIndex, int(told), uint32(overflowed), seq
	if !bytes.Equal(d.meta(), value) {
		return errRow
	}
	return nil
}

// pairKey is a || 0x00 || b: names have no 0x00.
func pairKey(k pair) []byte { return append(append([]byte(k.a), 0), k.b...) }

func parsePair(key []byte) (k pair, ok bool) {
	i := slices.Index(key, 0)
	if i < 0 {
		return k, false
	}
	return pair{string(key[:i]), string(key[i+1:])}, true
}

func encodeCredential(k verify.Hash, v *credential) (key, value []byte) {
	var b encoder
	b.text(v.domain)
	b.number(v.first)
	b.flag(v.told)
	return k[:], b
}

func decodeCredential(key, value []byte) (k verify.Hash, v credential, ok bool) {
	in := decoder{b: value}
	v = credential{domain: in.text(), first: in.number(), told: in.flag()}
	return hashOf(key), v, len(key) == len(k) && in.ended()
}

func hashOf(b []byte) (h verify.Hash) {
	copy(h[:], b)
	return h
}

func encodeKey(k verify.Hash, v *producerKey) (key, value []byte) {
	var b encoder
	b.text(v.producer)
	b.number(v.first)
	b.number(uint64(v.day))
	b.number(uint64(v.told))
	return k[:], b
}

func decodeKey(key, value []byte) (k verify.Hash, v producerKey, ok bool) {
	in := decoder{b: value}
	v = producerKey{producer: in.text(), first: in.number(), day: int64(in.number()), told: int64(in.number())}
	return hashOf(key), v, len(key) == len(k) && in.ended()
}

func encodeProducer(k string, v *producer) (key, value []byte) {
	var b encoder
	b.text(k)
	b.number(uint64(v.told))
	b.flag(v.tooMany)
	b.flag(v.clockTold)
	c := &v.clock
	for _, n := range []uint64{c.events, c.beyond, uint64(c.first), uint64(c.last), c.firstAt, c.changes, uint64(c.limit), uint64(c.offset), c.uncertainty, uint64(c.ahead)} {
		b.number(n)
	}
	b.text(c.source)
	return nameKey(k), b
}

// nameKey is the key of a name that may be longer than a key: its SHA-256.
func nameKey(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

func decodeProducer(key, value []byte) (k string, v producer, ok bool) {
	in := decoder{b: value}
	k = in.text()
	v.told, v.tooMany, v.clockTold = int(in.number()), in.flag(), in.flag()
	c := &v.clock
	c.events, c.beyond, c.first, c.last, c.firstAt = in.number(), in.number(), int64(in.number()), int64(in.number()), in.number()
	c.changes, c.limit, c.offset, c.uncertainty, c.ahead = in.number(), int64(in.number()), int64(in.number()), in.number(), int64(in.number())
	c.source = in.text()
	return k, v, string(nameKey(k)) == string(key) && in.ended()
}

func encodeCrossing(k crossingKey, v *crossing) (key, value []byte) {
	var b encoder
	b.number(v.first)
	b.number(uint64(v.time))
	b = append(append(b, v.want), v.reports[:]...)
	return append(k.id[:], pairKey(k.pair.pair)...), b
}

func (d *Detector) decodeCrossing(key, value []byte) (k crossingKey, v crossing, ok bool) {
	if len(key) < len(k.id) {
		return k, v, false
	}
	p, ok := parsePair(key[copy(k.id[:], key):])
	in := decoder{b: value}
	v = crossing{first: in.number(), time: int64(in.number()), want: in.byte()}
	for i := range v.reports {
		v.reports[i] = in.byte()
	}
	if !ok || !in.ended() {
		return k, v, false
	}
	k.pair = d.observedPair(p)
	k.pair.open++
	return k, v, true
}

func encodeApproval(k uint64, v *approval) (key, value []byte) {
	var b encoder
	for _, s := range []string{v.id, v.from, v.to} {
		b.text(s)
	}
	b.number(uint64(v.notAfter))
	b.number(v.revocation)
	b.number(uint64(v.revoked))
	b.flag(v.used)
	return binary.BigEndian.AppendUint64(nil, k), b
}

func decodeApproval(key, value []byte) (k uint64, v approval, ok bool) {
	in := decoder{b: value}
	v = approval{id: in.text(), from: in.text(), to: in.text(), notAfter: int64(in.number()), revocation: in.number(), revoked: int64(in.number()), used: in.flag()}
	return number(key), v, len(key) == 8 && in.ended()
}

func encodeFlow(k string, v *flowUse) (key, value []byte) {
	var b encoder
	b.number(uint64(v.since))
	b.flag(v.told)
	return []byte(k), b
}

func decodeFlow(key, value []byte) (k string, v flowUse, ok bool) {
	in := decoder{b: value}
	v = flowUse{since: int64(in.number()), told: in.flag()}
	return string(key), v, in.ended()
}

func encodeOwed(k uint64, v *Owed) (key, value []byte) {
	var b encoder
	b.number(v.Index)
	b.flag(v.Excused)
	b.number(uint64(v.day))
	b.flag(v.Alert != nil)
	m := proto.Message(v.Activity)
	if v.Alert != nil {
		m = v.Alert
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("detect: marshalling what is owed: " + err.Error()) // every text was clipped to ASCII
	}
	b.text(string(body))
	return binary.BigEndian.AppendUint64(nil, k), b
}

func decodeOwed(key, value []byte) (k uint64, v Owed, ok bool) {
	in := decoder{b: value}
	v = Owed{Index: in.number(), Excused: in.flag(), day: int64(in.number())}
	isAlert, body := in.flag(), []byte(in.text())
	var err error
	if isAlert {
		v.Alert = new(daybookv1.Alert)
		err = proto.Unmarshal(body, v.Alert)
	} else {
		v.Activity = new(daybookv1.Activity)
		err = proto.Unmarshal(body, v.Activity)
	}
	return number(key), v, err == nil && len(key) == 8 && in.ended()
}

func number(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}
