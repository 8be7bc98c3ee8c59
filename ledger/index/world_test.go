package index_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func openStore(t testing.TB, fs vfs.FS) store.Engine {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Options{
		Dir: "store", FS: fs, Logger: slog.New(slog.DiscardHandler), MemTableBytes: 1 << 20,
		Fatal: func(reason string) { panic(reason) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func openIndex(t testing.TB, e store.Engine) *index.Index {
	t.Helper()
	x, err := index.Open(e)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// row is one entry of the test world: its values as text, by field.
type row struct {
	text          map[index.Field]string
	number        map[index.Field]uint64
	log, occurred int64
}

var (
	texts   = []index.Field{index.Actor, index.Operation, index.Resource, index.Approver, index.Ticket, index.Purpose, index.Grant}
	exact   = []index.Field{index.EventID, index.Correlation, index.Run, index.Credential}
	domains = []index.Field{index.Source, index.Target, index.Producer}
	enums   = []index.Field{index.Outcome, index.Decision, index.ActionClass, index.SourceProof}
)

// word draws a value: few letters, so that many share a begin.
func word(r *rand.Rand) string {
	n := 1 + r.IntN(4)
	if r.IntN(200) == 0 {
		n = 30
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = "aab\xc3"[r.IntN(3)]
	}
	return string(b)
}

func digest(s string) verify.Hash {
	var h verify.Hash
	copy(h[:], s)
	return h
}

// makeRow draws one entry.
func makeRow(r *rand.Rand, i int) row {
	w := row{text: map[index.Field]string{}, number: map[index.Field]uint64{}, log: 1e18 + int64(i)*1000}
	w.text[index.Source], w.text[index.Target] = fmt.Sprintf("app-%d", r.IntN(5)), fmt.Sprintf("db-%d", min(r.IntN(30), r.IntN(30)))
	w.text[index.Producer] = fmt.Sprintf("spiffe://broker.example/gateway-%d", r.IntN(3))
	run := digest(fmt.Sprintf("run-%d", r.IntN(4)))
	w.text[index.Run] = string(run[:])
	switch r.IntN(40) {
	case 0:
		w.number[index.Kind] = uint64(daybookv1.Kind_KIND_ALERT)
		w.number[index.AlertType] = 1 + uint64(r.IntN(3))
	case 1:
		w.number[index.Kind] = uint64(daybookv1.Kind_KIND_APPROVAL)
		for _, f := range []index.Field{index.Grant, index.Approver, index.Ticket, index.Purpose, index.Actor} {
			w.text[f] = word(r)
		}
	case 2:
		w.number[index.Kind] = uint64(daybookv1.Kind_KIND_REVOCATION)
		w.text[index.Approver], w.text[index.Ticket] = word(r), word(r)
	case 3:
		w.number[index.Kind] = uint64(daybookv1.Kind_KIND_RUN_OPENED)
	default:
		w.access(r, i)
	}
	return w
}

func (w *row) access(r *rand.Rand, i int) {
	w.number[index.Kind] = uint64(daybookv1.Kind_KIND_ACCESS)
	w.number[index.Verdict] = 1 + uint64(r.IntN(13))
	w.number[index.Late] = uint64(r.IntN(10) / 9)
	w.occurred = w.log - r.Int64N(1e5)
	for _, f := range enums {
		if r.IntN(30) != 0 { // one value of most entries
			w.number[f] = 1
		} else {
			w.number[f] = 1 + uint64(r.IntN(4))
		}
	}
	for _, f := range texts {
		if r.IntN(3) > 0 {
			w.text[f] = word(r)
		}
	}
	if r.IntN(50) == 0 {
		w.text[index.Resource] = strings.Repeat("a", 405) + word(r) // longer than what a key holds
	}
	w.text[index.EventID] = fmt.Sprintf("event-%d", i)
	w.text[index.Correlation] = fmt.Sprintf("trace-%d", i/2)
	if r.IntN(2) == 0 {
		h := digest(fmt.Sprintf("credential-%d", r.IntN(9)))
		w.text[index.Credential] = string(h[:])
	}
}

// entry makes the entry of a row.
func (w *row) entry(t testing.TB) (e verify.Entry, ev verify.EventFields) {
	e.Head = verify.BatchHead{Producer: w.text[index.Producer], Run: verify.Hash([]byte(w.text[index.Run])), LogTimeNS: w.log}
	e.Place = verify.EntryHead{Source: w.text[index.Source], Target: w.text[index.Target], Late: w.number[index.Late] == 1,
		Kind: daybookv1.Kind(w.number[index.Kind]), Verdict: daybookv1.Verdict(w.number[index.Verdict])}
	var m proto.Message
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_ALERT:
		m = &daybookv1.Alert{Type: daybookv1.AlertType(w.number[index.AlertType])}
	case daybookv1.Kind_KIND_APPROVAL:
		m = &daybookv1.Approval{Id: w.text[index.Grant], Approver: w.text[index.Approver], Ticket: w.text[index.Ticket], Purpose: w.text[index.Purpose],
			Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, Name: w.text[index.Actor]}
	case daybookv1.Kind_KIND_REVOCATION:
		m = &daybookv1.Revocation{Revoker: w.text[index.Approver], Ticket: w.text[index.Ticket]}
	case daybookv1.Kind_KIND_ACCESS:
		ev = verify.EventFields{OccurredAtNS: w.occurred, EventID: []byte(w.text[index.EventID]), CorrelationID: []byte(w.text[index.Correlation]),
			ActorID: []byte(w.text[index.Actor]), Operation: []byte(w.text[index.Operation]), Resource: []byte(w.text[index.Resource]),
			Approver: []byte(w.text[index.Approver]), Ticket: []byte(w.text[index.Ticket]), Purpose: []byte(w.text[index.Purpose]),
			GrantID: []byte(w.text[index.Grant]), Credential: []byte(w.text[index.Credential]),
			Outcome: daybookv1.OutcomeResult(w.number[index.Outcome]), Decision: daybookv1.Decision(w.number[index.Decision]),
			ActionClass: daybookv1.ActionClass(w.number[index.ActionClass]), SourceProof: daybookv1.SourceProof(w.number[index.SourceProof])}
		return e, ev
	default:
		return e, ev
	}
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	e.Body = body
	return e, ev
}

// holds is the dumb twin of a query.
func (w *row) holds(q index.Query) bool {
	for _, m := range q.Matches {
		v, n := w.text[m.Field], w.number[m.Field]
		switch {
		case m.Number != 0:
			if n != m.Number {
				return false
			}
		case m.Prefix:
			if !strings.HasPrefix(v, string(m.Value)) {
				return false
			}
		case m.Any != nil:
			if !slices.ContainsFunc(m.Any, func(one []byte) bool { return string(one) == v }) {
				return false
			}
		case v != string(m.Value):
			return false
		}
	}
	if q.OccurredFrom == 0 && q.OccurredUntil == 0 {
		return true
	}
	return w.occurred != 0 && w.occurred >= q.OccurredFrom && (q.OccurredUntil == 0 || w.occurred < q.OccurredUntil)
}

// drawQuery draws one to four matches, half of the times of a real entry.
func drawQuery(r *rand.Rand, world []row) index.Query {
	var q index.Query
	like := world[r.IntN(len(world))]
	for range 1 + r.IntN(4) {
		switch r.IntN(5) {
		case 4:
			q.Matches = append(q.Matches, drawAny(r, world))
		case 0:
			f := slices.Concat(enums, []index.Field{index.Kind, index.Verdict, index.AlertType, index.Late})[r.IntN(8)]
			q.Matches = append(q.Matches, index.Match{Field: f, Number: max(1, like.number[f])})
		case 1:
			f := slices.Concat(texts, domains)[r.IntN(10)]
			v := like.text[f]
			if w := word(r); r.IntN(4) == 0 && len(w) < 60 {
				v = w
			}
			if len(v) > 0 {
				q.Matches = append(q.Matches, index.Match{Field: f, Value: []byte(v[:1+r.IntN(len(v))]), Prefix: true})
			}
		default:
			f := slices.Concat(texts, domains, exact)[r.IntN(14)]
			if v := like.text[f]; v != "" {
				q.Matches = append(q.Matches, index.Match{Field: f, Value: []byte(v)})
			}
		}
	}
	if r.IntN(3) == 0 {
		q.OccurredFrom = 1e18 + r.Int64N(int64(len(world)))*1000
	}
	if r.IntN(3) == 0 {
		q.OccurredUntil = 1e18 + r.Int64N(int64(len(world)))*1000
	}
	return q
}

// drawAny asks for any of some values that some entries have.
func drawAny(r *rand.Rand, world []row) index.Match {
	f := slices.Concat(texts, domains)[r.IntN(10)]
	set := map[string]bool{"app-0": true}
	for range r.IntN(30) {
		if v := world[r.IntN(len(world))].text[f]; v != "" {
			set[v] = true
		}
	}
	m := index.Match{Field: f}
	for _, v := range slices.Sorted(maps.Keys(set)) {
		m.Any = append(m.Any, []byte(v))
	}
	return m
}

// checkSearch draws a search and holds its answer against a full scan: nothing
// is missed, the order is right, and who compares gets the same. The index may
// have grown past world meanwhile; what lies past it is not looked at.
func checkSearch(t testing.TB, x *index.Index, r *rand.Rand, world []row) {
	t.Helper()
	if len(world) == 0 {
		return
	}
	q := drawQuery(r, world)
	lo, hi := r.IntN(len(world)), r.IntN(len(world)+10)
	if r.IntN(2) == 0 {
		lo, hi = 0, len(world)
	}
	descending, limit := r.IntN(2) == 0, []int{1, 20, 1 << 30}[r.IntN(3)]
	var want, got []uint64
	for i := lo; i < min(hi, len(world)); i++ {
		if world[i].holds(q) {
			want = append(want, uint64(i))
		}
	}
	if descending {
		slices.Reverse(want)
	}
	want = want[:min(limit, len(want))]
	last := int64(-1)
	var v index.Values
	err := x.Search(t.Context(), q, uint64(lo), uint64(hi), descending, func(i uint64) bool {
		if i < uint64(lo) || i >= uint64(hi) || last >= 0 && (int64(i) > last) == descending {
			t.Fatalf("candidate %d after %d in [%d,%d), descending %v", i, last, lo, hi, descending)
		}
		last = int64(i)
		if i >= uint64(len(world)) {
			return true
		}
		e, ev := world[i].entry(t)
		if err := v.Read(&e, &ev); err != nil {
			t.Fatal(err)
		}
		holds := v.Occurred(q.OccurredFrom, q.OccurredUntil)
		for j := range q.Matches {
			holds = holds && v.Holds(&q.Matches[j])
		}
		if holds != world[i].holds(q) {
			t.Fatalf("entry %d %+v: %+v holds: %v", i, world[i], q, holds)
		}
		if holds {
			got = append(got, i)
		}
		return len(got) < limit
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d hits %v, want %d %v, for %+v in [%d,%d), descending %v", len(got), got, len(want), want, q, lo, hi, descending)
	}
}

// checkValues draws a prefix and holds the listed values against a full scan.
func checkValues(t testing.TB, x *index.Index, r *rand.Rand, world []row) {
	t.Helper()
	f := slices.Concat(texts, domains)[r.IntN(10)]
	prefix, limit := word(r)[:r.IntN(2)], 1+r.IntN(50)
	set := map[string]bool{}
	for _, w := range world {
		if v := w.text[f]; v != "" && strings.HasPrefix(v, prefix) {
			set[v[:min(len(v), 400)]] = true
		}
	}
	want := make([]string, 0, len(set))
	for v := range set {
		want = append(want, v)
	}
	slices.Sort(want)
	got, more, err := x.Values(context.Background(), f, prefix, limit)
	if err != nil {
		t.Fatal(err)
	}
	if more != (len(want) > limit) || !slices.Equal(got, want[:min(limit, len(want))]) {
		t.Fatalf("values of %v with %q: %q, more %v; want %q", f, prefix, got, more, want)
	}
}

func add(t testing.TB, x *index.Index, world []row, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		e, ev := world[i].entry(t)
		if err := x.Add(uint64(i), &e, &ev); err != nil {
			t.Fatal(err)
		}
	}
}

func makeWorld(seed uint64, n int) []row {
	r := rand.New(rand.NewPCG(seed, 7))
	world := make([]row, n)
	for i := range world {
		world[i] = makeRow(r, i)
	}
	return world
}

// rows reads every key and value of the index.
func rows(t testing.TB, e store.Engine) map[string]string {
	t.Helper()
	out := map[string]string{}
	lo, hi := store.Index.Range()
	if err := e.Scan(lo, hi, func(k, v []byte) error { out[string(k)] = string(v); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func u64(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
