package bundle_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// inventive is a source that makes up the bodies of numbers that are not there.
type inventive struct{ *worldSource }

// Numbers yields what is there, and zeros.
func (s *inventive) Numbers(ctx context.Context, producer string, run verify.Hash, first, end uint64, yield func(verify.Hash) error) error {
	for k := first; k < end; k++ {
		if s.worldSource.Numbers(ctx, producer, run, k, k+1, yield) == nil {
			continue
		}
		if err := yield(verify.Hash{}); err != nil {
			return err
		}
	}
	return nil
}

// rekeyed is the same log, signed by other keys under the same names.
func rekeyed(w *world) *world {
	c := &world{t: w.t, now: w.now, entries: w.entries, heads: w.heads, tree: w.tree, streams: w.streams, runs: w.runs, own: w.own, closes: w.closes, close: w.close}
	other := func(s *signer) *signer {
		forged := newSigner("forged "+s.name, s.typ)
		return &signer{s.name, s.typ, forged.key}
	}
	c.origin = other(w.origin)
	c.signing = []*signer{c.origin}
	for _, s := range w.wits {
		c.wits = append(c.wits, other(s))
	}
	c.archive()
	return c
}

// lyingWorlds are logs whose ledger lied, all signed and cosigned, and what a check
// says.
func lyingWorlds(t testing.TB) map[string]struct {
	w     *world
	names []string
} {
	told := func(lie func(*verify.BatchHead, *verify.EntryHead), more func(*world, *worldRun)) *world {
		w := newWorld(t, start, "witness.example/a", "witness.example/b")
		web := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
		w.propose(firstMap, "spiffe://people.example/alice", "spiffe://people.example/cco")
		w.lie = lie
		for range 3 {
			w.now += int64(time.Minute)
			w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
			w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "test-db"))
		}
		if more != nil {
			more(w, web)
		}
		w.heartbeat(web)
		w.now = start.Add(15 * time.Hour).UnixNano()
		w.closeAt(w.now)
		w.archive()
		return w
	}
	at := func(n int, lie func(*verify.BatchHead, *verify.EntryHead)) func(*verify.BatchHead, *verify.EntryHead) {
		return func(h *verify.BatchHead, p *verify.EntryHead) {
			if p.Kind == daybookv1.Kind_KIND_ACCESS && p.Index == uint64(n) {
				lie(h, p)
			}
		}
	}
	first := 7 // index of the first access to test-db
	type lying = struct {
		w     *world
		names []string
	}
	return map[string]lying{
		"an undeclared access said to be authorized": {told(at(first, func(_ *verify.BatchHead, p *verify.EntryHead) { p.Verdict = daybookv1.Verdict_VERDICT_AUTHORIZED }), nil),
			[]string{fmt.Sprintf("authorized: entry %d", first)}},
		"an authorized access said to be denied": {told(at(first-1, func(_ *verify.BatchHead, p *verify.EntryHead) { p.Verdict = daybookv1.Verdict_VERDICT_DENIED }), nil),
			[]string{fmt.Sprintf("authorized: entry %d", first-1)}},
		"an access put into another pair": {told(at(first, func(_ *verify.BatchHead, p *verify.EntryHead) { p.Target = "prod-db" }), nil), []string{fmt.Sprintf("authorized: entry %d", first)}},
		"an access said to be late":       {told(at(first, func(_ *verify.BatchHead, p *verify.EntryHead) { p.Late = true }), nil), []string{fmt.Sprintf("authorized: entry %d", first)}},
		"an access on another side":       {told(at(first, func(_ *verify.BatchHead, p *verify.EntryHead) { p.Side = daybookv1.Side_SIDE_GATEWAY }), nil), []string{fmt.Sprintf("authorized: entry %d", first)}},
		"an access under no map":          {told(at(first, func(h *verify.BatchHead, _ *verify.EntryHead) { h.MapIndex = 0 }), nil), []string{fmt.Sprintf("authorized: entry %d", first)}},
		"an access under old rules":       {told(at(first, func(h *verify.BatchHead, _ *verify.EntryHead) { h.RulesVersion = 1 }), nil), []string{fmt.Sprintf("authorized: entry %d", first)}},
		"a certificate of another key": {told(nil, func(w *world, web *worldRun) {
			stranger := producerKey("spiffe://web/stranger")
			web.epoch++
			web.key = stranger // signs from here on, and nobody but the ledger knows it
			w.append(web, daybookv1.Kind_KIND_RUN_RESUMED, &daybookv1.RunResumed{Run: web.id[:], Last: web.last, Hash: web.hash[:], Epoch: web.epoch, Certificate: certificate(w.t, web.producer, stranger)})
			w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
		}), []string{"the producer's certificate: certificate: of another key than that of the batch head"}},
		"a number left out": {told(nil, func(w *world, web *worldRun) {
			web.last++ // as if an event with this number had been dropped
			w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
		}), []string{"complete as numbered: run"}},
		"words put into a producer's mouth": {told(nil, func(w *world, web *worldRun) {
			hash := web.hash
			w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
			web.hash = verify.RunNext(hash, web.last, verify.Hash{1}) // the producer sent another body
		}), []string{"complete as numbered: run"}},
	}
}

// hidden is a log whose ledger left a stream out of its table of streams and counts
// its entries under one that few answers have: only the whole log shows that.
func hidden(t testing.TB) *world {
	w := newWorld(t, start, "witness.example/a", "witness.example/b")
	web := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	w.propose(firstMap, "spiffe://people.example/alice", "spiffe://people.example/cco")
	for range 3 {
		w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
		w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "test-db"))
	}
	w.heartbeat(web)
	w.lieRows = func(rows []verify.Row) []verify.Row {
		at := slices.IndexFunc(rows, func(r verify.Row) bool { return bytes.Contains(r.Key, []byte("test-db")) })
		n := rows[at].Count
		rows = slices.Delete(rows, at, at+1)
		rows[slices.IndexFunc(rows, func(r verify.Row) bool { return r.Key[0] == byte(daybookv1.Kind_KIND_RUN_HEARTBEAT) })].Count += n
		return rows
	}
	w.now = start.Add(15 * time.Hour).UnixNano()
	w.closeAt(w.now)
	w.archive()
	return w
}

// moreForgeries are those that are no attack on one bundle: other logs, keys,
// closes and copies.
func moreForgeries(t testing.TB, main *base) []forgery {
	w, policy := main.w, main.w.policy()
	var list []forgery
	add := func(name string, file []byte, exit int, names ...string) {
		list = append(list, forgery{name: name, base: main.name, file: file, policy: policy, exit: exit, names: names})
	}
	for name, l := range lyingWorlds(t) {
		add("the ledger lied: "+name, build(t, &inventive{l.w.source()}, "from: web\n"), 1, l.names...)
	}
	var whole bytes.Buffer
	if err := bundle.BuildAnyway(context.Background(), hidden(t).source(), mustRead(t, "log: true\n"), newSpool(t), &whole); err != nil {
		t.Fatal(err)
	}
	add("the ledger lied: a stream hidden in the table", bytes.Clone(whole.Bytes()), 1, "close", "table")
	whole.Reset()
	const resumed = "a certificate of another key"
	if err := bundle.BuildAnyway(context.Background(), lyingWorlds(t)[resumed].w.source(), mustRead(t, "log: true\n"), newSpool(t), &whole); err != nil {
		t.Fatal(err)
	}
	add("the ledger lied in a whole log: "+resumed, bytes.Clone(whole.Bytes()), 1, "of another key than that of the batch head")
	slices.SortFunc(list, func(a, b forgery) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })

	forged := rekeyed(w)
	remade := build(t, forged.source(), main.question)
	add("remade whole under another key", remade, 1, "checkpoint")
	list = append(list, forgery{name: "remade whole under another key, and no policy from outside", base: main.name, file: remade, exit: 3},
		forgery{name: "honest, and no policy from outside", base: main.name, file: main.file, exit: 3},
		forgery{name: "remade whole under another key, with its own policy", base: main.name, file: remade, policy: forged.policy(), exit: 4})

	old := build(t, w.sourceAt(len(w.notes)-2), main.question)
	newest := w.notes[len(w.notes)-1].note
	list = append(list, forgery{name: "an old copy, and a newer checkpoint is held", base: main.name, file: old, policy: policy, held: newest, exit: 1, names: []string{"old copy"}},
		forgery{name: "the newest copy, and its checkpoint is held", base: main.name, file: main.file, policy: policy, held: newest, exit: 4},
		forgery{name: "a checkpoint of another key is held", base: main.name, file: main.file, policy: policy, held: forged.notes[0].note, exit: 1, names: []string{"the checkpoint that you hold"}},
		forgery{name: "a checkpoint that is none is held", base: main.name, file: main.file, policy: policy, held: []byte("none\n"), exit: 1, names: []string{"the checkpoint that you hold"}})
	other := newWorld(t, start, "witness.example/a", "witness.example/b")
	other.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	for len(other.entries) < len(w.entries) {
		other.append(other.own, daybookv1.Kind_KIND_ACTIVITY, &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_ADMIN, Actor: "x", Count: 1})
	}
	other.archive()
	list = append(list, forgery{name: "a checkpoint of a fork is held", base: main.name, file: main.file, policy: policy, held: other.notes[0].note, exit: 1, names: []string{"FORK"}})

	mixed := newForge(t, main.src, main.file)
	mixed.files["checkpoint"] = other.notes[0].note
	add("two logs mixed: another checkpoint", mixed.pack(), 1, "tree.hashes", "checkpoints/")
	lied := lyingWorlds(t)["an undeclared access said to be authorized"].w
	second := newForge(t, lied.source(), build(t, lied.source(), main.question))
	for _, member := range []string{"governance.bin", "entries/000001.bin", "rows.bin", "streams.bin", "tree.hashes", "checkpoint"} {
		f := main.forge.clone()
		f.files[member] = second.files[member]
		add("two logs mixed: "+member, f.pack(), 1)
	}
	return append(list, otherCloses(t, main)...)
}

// otherCloses answer from a close before the newest one. For a question whose period
// ends in that of the close it is an answer like any other; else completeness is
// not claimed.
func otherCloses(t testing.TB, main *base) []forgery {
	w := main.w
	s := w.source()
	early := *s
	at := w.closes[0]
	e := w.heads[at]
	c, err := verify.CheckCloseEntry(&e)
	if err != nil {
		t.Fatal(err)
	}
	early.close, early.rows, early.table = at, w.table(c.Cut), nil
	early.trees, early.counts = map[verify.StreamKey]nodes{}, map[verify.StreamKey]uint64{}
	for _, r := range early.rows {
		early.table.add(verify.HashLeaf(r.AppendTo(nil)))
		early.counts[verify.StreamKey(r.Key)] = r.Count
	}
	file := build(t, &early, main.question)
	if r := check(t, w.trust(), file); r.Claims[1].State != "not claimed" {
		t.Errorf("an answer from an early close: %s is %s", r.Claims[1].Name, r.Claims[1].State)
	}
	f := newForge(t, &early, file)
	f.files["rows.bin"], f.files["rows.hashes"] = main.forge.files["rows.bin"], main.forge.files["rows.hashes"]
	f.order = nil
	return []forgery{{name: "another close's table", base: main.name, file: f.pack(), policy: w.policy(), exit: 1, names: []string{"rows.bin", "rows.hashes"}}}
}
