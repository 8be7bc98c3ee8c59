package bundle_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// A forgery is one file that an adversary hands over, what the examiner has from
// elsewhere, and what a check must say.
type forgery struct {
	name   string
	base   string // name of the honest bundle that it was made from
	file   []byte
	policy []byte // nil: none
	held   []byte // checkpoint; nil: none
	exit   int
	names  []string // one of these is in the reason; nil: any
}

// failedOrNewer in place of an exit code: what is forged may look like a later
// format.
const failedOrNewer = -1

// exits are the exit codes of the verdicts.
var exits = map[bundle.Verdict]int{bundle.Verified: 0, bundle.Failed: 1, bundle.SelfConsistent: 3, bundle.DeclaredGaps: 4, bundle.Newer: 5}

func (c *forgery) check(t testing.TB) *bundle.Result {
	t.Helper()
	var trust bundle.Trust
	if c.policy != nil {
		p, err := verify.ParsePolicy(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		trust.Policy = p
	}
	if c.held != nil {
		trust.Held = &bundle.Held{Note: c.held}
	}
	r, err := bundle.Check(context.Background(), []bundle.File{{R: bytes.NewReader(c.file), Size: int64(len(c.file))}}, trust)
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	return r
}

// judge checks a forgery and reports what is not caught, or not named.
func (c *forgery) judge(t testing.TB) {
	t.Helper()
	r := c.check(t)
	if got := exits[r.Verdict]; c.exit == failedOrNewer && (r.Verdict == bundle.Failed || r.Verdict == bundle.Newer) {
		c.exit = got
	} else if got != c.exit {
		t.Errorf("%s: %s (%s), want exit %d", c.name, r.Verdict, r.Reason, c.exit)
		return
	}
	said := r.Reason
	for _, claim := range r.Claims {
		said += "\n" + claim.Name + ": " + claim.Detail
	}
	if len(c.names) > 0 && !slices.ContainsFunc(c.names, func(n string) bool { return strings.Contains(said, n) }) {
		t.Errorf("%s: %q names none of %q", c.name, r.Reason, c.names)
	}
}

// A base is an honest bundle and how the forge sees it.
type base struct {
	name, question string
	w              *world
	src            *worldSource
	file           []byte
	forge          *forge
}

func newBase(t testing.TB, name string, w *world, src *worldSource, text string) *base {
	t.Helper()
	if src == nil {
		src = w.source()
	}
	b := &base{name: name, question: text, w: w, src: src, file: build(t, src, text)}
	b.forge = newForge(t, src, b.file)
	for key := range src.counts { // later calls come from several goroutines
		if _, err := src.StreamNode(context.Background(), key, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// attack is one way to forge a bundle.
type attack struct {
	name  string
	do    func(*forge)
	names []string // one of these is in the reason; nil: any
}

// mainQuestion has answers of one run and a one-off, closes and a gap in its
// window.
const mainQuestion = "from: web\nto: prod-db\nperiod: {text: 2026-05-18, zone: America/New_York}\ncase: 2026-0417\n"

// attacks are those on the main bundle.
func attacks(src *worldSource) []attack {
	return slices.Concat(entryAttacks(), tableAttacks(), documentAttacks(src), derivedAttacks(), zipAttacks())
}

// answers are the places of the main bundle's answers among its known entries.
func (f *forge) answers() []int {
	var at []int
	for i, e := range f.entries() {
		if e.Place.Kind == daybookv1.Kind_KIND_ACCESS && e.Place.Target == "prod-db" && e.Head.LogTimeNS >= time.Date(2026, 5, 18, 0, 0, 0, 0, time.UTC).UnixNano() {
			at = append(at, i)
		}
	}
	return at
}

// change changes one entry by its parsed form, and leaves hashes as they are.
func (f *forge) change(i int, change func(*forgedEntry)) {
	entries := f.entries()
	e := &entries[i]
	e.Entry = *cloneEntry(&e.Entry)
	change(e)
	e.raw = verify.AppendEntry(nil, e.Head.AppendTo(nil), e.Place.AppendTo(nil), e.Body)
	f.write(entries)
}

func cloneEntry(e *verify.Entry) *verify.Entry {
	c := *e
	c.Body = slices.Clone(e.Body)
	return &c
}

// changeEvent changes the event of an access.
func (f *forge) changeEvent(i int, change func(*daybookv1.Event)) {
	f.change(i, func(e *forgedEntry) {
		var ev daybookv1.Event
		if err := proto.Unmarshal(e.Body, &ev); err != nil {
			f.t.Fatal(err)
		}
		change(&ev)
		var err error
		if e.Body, err = (proto.MarshalOptions{Deterministic: true}).Marshal(&ev); err != nil {
			f.t.Fatal(err)
		}
	})
}

// drop leaves an entry out: its leaf hash stands among those between. Where shrink
// is set its stream says so too.
func (f *forge) drop(i int, shrink bool) {
	entries := f.entries()
	e := entries[i]
	f.write(slices.Delete(slices.Clone(entries), i, i+1))
	if !shrink {
		return
	}
	windows := slices.Clone(f.windows)
	for k := range windows {
		if w := &windows[k]; w.Key == verify.StreamKeyOf(&e.Place) {
			if e.Place.Position+1 == w.B {
				w.B--
			} else {
				w.A = e.Place.Position + 1
			}
		}
	}
	f.writeStreams(windows)
}

func entryAttacks() []attack {
	each := func(name string, names []string, do func(*forge, int)) attack {
		return attack{name, func(f *forge) { do(f, f.answers()[1]) }, names}
	}
	all := []string{"entries/000001.bin", "entry", "tree.hashes", "streams.bin"}
	list := []attack{
		each("entry dropped", []string{"streams.bin", "position"}, func(f *forge, i int) { f.drop(i, false) }),
		each("entry dropped and stream cut", []string{"streams.bin", "position"}, func(f *forge, i int) { f.drop(i, true) }),
		each("entry doubled", all, func(f *forge, i int) {
			e := f.entries()
			f.write(slices.Insert(e, i, e[i]))
		}),
		each("entries swapped", all, func(f *forge, i int) {
			e := f.entries()
			e[i], e[i+1] = e[i+1], e[i]
			f.write(e)
		}),
		each("entries swapped and renumbered", all, func(f *forge, i int) {
			f.change(i, func(e *forgedEntry) { e.Body = slices.Clone(f.entries()[i+1].Body) })
		}),
		each("entry renumbered in the log", all, func(f *forge, i int) { f.change(i, func(e *forgedEntry) { e.Place.Index++ }) }),
		each("entry renumbered in its run", all, func(f *forge, i int) { f.change(i, func(e *forgedEntry) { e.Place.Number++ }) }),
		each("entry renumbered in its stream", all, func(f *forge, i int) { f.change(i, func(e *forgedEntry) { e.Place.Position++ }) }),
		each("entry moved to another source", all, func(f *forge, i int) { f.change(i, func(e *forgedEntry) { e.Place.Source = "desk" }) }),
		each("entry moved to another target", all, func(f *forge, i int) { f.change(i, func(e *forgedEntry) { e.Place.Target = "test-db" }) }),
		each("entry moved to another side", all, func(f *forge, i int) {
			f.change(i, func(e *forgedEntry) { e.Place.Side = daybookv1.Side_SIDE_COLLECTOR })
		}),
		each("entry made late", all, func(f *forge, i int) { f.change(i, func(e *forgedEntry) { e.Place.Late = !e.Place.Late }) }),
		each("entry made an activity", all, func(f *forge, i int) {
			f.change(i, func(e *forgedEntry) {
				e.Place.Kind, e.Place.Source, e.Place.Target, e.Place.Side, e.Place.Late = daybookv1.Kind_KIND_ACTIVITY, "", "", 0, false
			})
		}),
		each("entry made a declined", all, func(f *forge, i int) {
			sum := verify.HashLeaf(nil)
			body, _ := proto.Marshal(&daybookv1.Declined{Number: 3, Sha256: sum[:], Reason: "forged"})
			f.change(i, func(e *forgedEntry) {
				e.Place.Kind, e.Place.Target, e.Place.Side, e.Place.Late, e.Place.Verdict, e.Body = daybookv1.Kind_KIND_DECLINED, "", 0, false, 0, body
			})
		}),
		each("verdict altered", all, func(f *forge, i int) {
			f.change(i, func(e *forgedEntry) { e.Place.Verdict = daybookv1.Verdict_VERDICT_DENIED })
		}),
		each("log time altered", all, func(f *forge, i int) { f.change(i, func(e *forgedEntry) { e.Head.LogTimeNS-- }) }),
		each("producer altered", append(all, "numbers.bin"), func(f *forge, i int) { f.change(i, func(e *forgedEntry) { e.Head.Producer = "spiffe://web/other" }) }),
		each("provenance altered", all, func(f *forge, i int) {
			f.change(i, func(e *forgedEntry) { e.Head.Provenance = daybookv1.Provenance_PROVENANCE_BACKFILL })
		}),
		each("map index altered", all, func(f *forge, i int) { f.change(i, func(e *forgedEntry) { e.Head.MapIndex = 0 }) }),
		each("actor altered", all, func(f *forge, i int) { f.changeEvent(i, func(ev *daybookv1.Event) { ev.Actor.Id = "somebody-else" }) }),
		each("time of occurrence altered", all, func(f *forge, i int) { f.changeEvent(i, func(ev *daybookv1.Event) { ev.OccurredAtNs -= 1e9 }) }),
		each("outcome altered", all, func(f *forge, i int) {
			f.changeEvent(i, func(ev *daybookv1.Event) { ev.Outcome.Result = daybookv1.OutcomeResult_OUTCOME_RESULT_ERROR })
		}),
		each("attribute added", all, func(f *forge, i int) {
			f.changeEvent(i, func(ev *daybookv1.Event) { ev.Attributes = []*daybookv1.Attribute{{Key: "k", Value: "v"}} })
		}),
		{"tail of the entries cut", func(f *forge) {
			e := f.entries()
			last := len(e) - 1
			for e[last].governed {
				last--
			}
			f.write(slices.Delete(e, last, last+1))
		}, nil},
	}
	for _, kind := range []daybookv1.Kind{daybookv1.Kind_KIND_APPROVAL, daybookv1.Kind_KIND_REVOCATION, daybookv1.Kind_KIND_DOMAIN_MAP, daybookv1.Kind_KIND_PART,
		daybookv1.Kind_KIND_GAP, daybookv1.Kind_KIND_DECLINED, daybookv1.Kind_KIND_RUN_OPENED, daybookv1.Kind_KIND_RUN_HEARTBEAT, daybookv1.Kind_KIND_ALERT, daybookv1.Kind_KIND_CLOSE,
		daybookv1.Kind_KIND_ORIGIN_OPENED} {
		for _, shrink := range []bool{false, true} {
			list = append(list, attack{fmt.Sprintf("%v left out %v", kind, shrink), func(f *forge) {
				for i, e := range f.entries() {
					if e.Place.Kind == kind {
						f.drop(i, shrink)
						return
					}
				}
				f.t.Fatalf("no %v", kind)
			}, nil})
		}
	}
	return list
}

func tableAttacks() []attack {
	rows := []string{"rows.bin", "rows.hashes"}
	row := func(name string, do func([]forgedRow, int) []forgedRow) attack {
		return attack{name, func(f *forge) {
			list := f.rows()
			at := slices.IndexFunc(list, func(r forgedRow) bool { return r.Key[0] == byte(daybookv1.Kind_KIND_ACCESS) })
			f.writeRows(do(list, at))
		}, rows}
	}
	list := []attack{
		row("row left out", func(l []forgedRow, i int) []forgedRow { return slices.Delete(l, i, i+1) }),
		row("row doubled", func(l []forgedRow, i int) []forgedRow { return slices.Insert(l, i, l[i]) }),
		row("rows swapped", func(l []forgedRow, i int) []forgedRow { l[i], l[i+1] = l[i+1], l[i]; return l }),
		row("row's count lowered", func(l []forgedRow, i int) []forgedRow { l[i].Count--; return l }),
		row("row's count raised", func(l []forgedRow, i int) []forgedRow { l[i].Count++; return l }),
		row("row's root altered", func(l []forgedRow, i int) []forgedRow { l[i].Root[0] ^= 1; return l }),
		row("row's key altered", func(l []forgedRow, i int) []forgedRow {
			l[i].Key = slices.Clone(l[i].Key)
			l[i].Key[len(l[i].Key)-2] ^= 4 // its side
			return l
		}),
		row("row moved", func(l []forgedRow, i int) []forgedRow { l[i].index++; return l }),
		{"first row left out", func(f *forge) { f.writeRows(f.rows()[1:]) }, rows},
		{"last row left out", func(f *forge) { l := f.rows(); f.writeRows(l[:len(l)-1]) }, rows},
		{"no rows", func(f *forge) { f.writeRows(nil) }, rows},
		{"a stream hidden in the table", func(f *forge) {
			// The row of a stream that is asked for is not shown, nor its entries: the
			// hashes of the table are as they are.
			l := f.rows()
			at := slices.IndexFunc(l, func(r forgedRow) bool { return r.Key[0] == byte(daybookv1.Kind_KIND_ACCESS) && f.selected(r.index) })
			key := verify.StreamKey(l[at].Key)
			f.writeRows(slices.Delete(l, at, at+1))
			f.writeStreams(slices.DeleteFunc(slices.Clone(f.windows), func(w bundle.StreamWindow) bool { return w.Key == key }))
			f.write(slices.DeleteFunc(f.entries(), func(e forgedEntry) bool { return verify.StreamKeyOf(&e.Place) == key }))
		}, rows},
	}
	return list
}

// hashAttacks are those on what every bundle has of hashes and windows.
func hashAttacks(f *forge) (list []attack) {
	for _, name := range []string{"rows.hashes", "streams.bin", "tree.hashes", "numbers.bin"} {
		n := len(f.files[name])
		if n == 0 {
			list = append(list, attack{name + " where there is none", func(f *forge) { f.files[name] = make([]byte, 32) }, nil})
			continue
		}
		list = append(list,
			attack{name + ": a hash altered", func(f *forge) { f.files[name][n-1] ^= 1 }, nil},
			attack{name + ": the first byte altered", func(f *forge) { f.files[name][0] ^= 1 }, nil},
			attack{name + ": a hash left out", func(f *forge) { f.files[name] = f.files[name][:max(n-32, 0)] }, nil},
			attack{name + ": a hash added", func(f *forge) { f.files[name] = append(f.files[name], make([]byte, 32)...) }, nil},
			attack{name + ": a byte added", func(f *forge) { f.files[name] = append(f.files[name], 0) }, nil},
			attack{name + " left out", func(f *forge) { delete(f.files, name) }, nil})
		if n >= 64 {
			list = append(list, attack{name + ": two hashes swapped", func(f *forge) {
				copy(f.files[name][n-64:], slices.Concat(f.files[name][n-32:], f.files[name][n-64:n-32]))
			}, nil})
		}
	}
	for i, w := range f.windows {
		if w.A+1 < w.B {
			list = append(list,
				attack{fmt.Sprintf("window %d begins later", i), func(f *forge) { f.windows[i].A++; f.writeStreams(f.windows) }, nil},
				attack{fmt.Sprintf("window %d ends earlier", i), func(f *forge) { f.windows[i].B--; f.writeStreams(f.windows) }, nil})
		}
	}
	for i := range f.rows() {
		list = append(list,
			attack{fmt.Sprintf("known row %d left out", i), func(f *forge) { f.writeRows(slices.Delete(f.rows(), i, i+1)) }, []string{"rows.bin", "rows.hashes"}},
			attack{fmt.Sprintf("known row %d counts one less", i), func(f *forge) {
				l := f.rows()
				l[i].Count--
				f.writeRows(l)
			}, []string{"rows.bin"}})
	}
	entries := f.entries()
	for i, e := range entries {
		list = append(list,
			attack{fmt.Sprintf("known entry %d left out", e.Place.Index), func(f *forge) { f.drop(i, false) }, nil},
			attack{fmt.Sprintf("known entry %d left out, its stream cut", e.Place.Index), func(f *forge) { f.drop(i, true) }, nil},
			attack{fmt.Sprintf("known entry %d altered", e.Place.Index), func(f *forge) { f.change(i, func(e *forgedEntry) { e.Head.KeyFingerprint[3] ^= 1 }) }, nil})
	}
	return list
}

// memberAttacks change one member that is not derived, whatever it is.
func memberAttacks(f *forge) (list []attack) {
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		if bundle.IsDerived(name) {
			continue
		}
		n := len(f.files[name])
		for _, at := range []int{0, n / 2, n - 1} {
			list = append(list, attack{fmt.Sprintf("%s: byte %d altered", name, at), func(f *forge) { f.files[name][at] ^= 4 }, nil})
		}
		if name == "policy.txt" {
			continue // what the file says of itself: another one that its checkpoint satisfies is as good
		}
		list = append(list,
			attack{name + ": cut short", func(f *forge) { f.files[name] = f.files[name][:n-1] }, nil},
			attack{name + ": made longer", func(f *forge) { f.files[name] = append(f.files[name], '\n') }, nil},
			attack{name + ": doubled", func(f *forge) { f.files[name] = append(f.files[name], f.files[name]...) }, nil},
			attack{name + ": left out", func(f *forge) { delete(f.files, name) }, nil})
	}
	return list
}

// selected tells whether a row's stream is known.
func (f *forge) selected(row uint64) bool {
	return slices.ContainsFunc(f.windows, func(w bundle.StreamWindow) bool { return w.Row == row })
}

func documentAttacks(src *worldSource) []attack {
	size, closing := src.note.size, src.close
	number := func(name string, n uint64, change int) (string, string) {
		return fmt.Sprintf("%q: %d", name, n), fmt.Sprintf("%q: %d", name, int(n)+change)
	}
	answer := func(what, name string, n uint64, change int) attack {
		old, new := number(name, n, change)
		return attack{"answer: " + what, func(f *forge) { f.replace("answer.json", old, new) }, []string{"answer.json"}}
	}
	text := func(name, member, old, new string, names ...string) attack {
		return attack{name, func(f *forge) { f.replace(member, old, new) }, names}
	}
	earlier := fmt.Sprintf("checkpoints/%020d", src.w.notes[len(src.w.notes)-2].size)
	return []attack{
		text("question: a narrower period", "question.json", `"start": "2026-05-18T04:00:00Z"`, `"start": "2026-05-18T23:00:00Z"`),
		text("question: a wider period", "question.json", `"end": "2026-05-19T04:00:00Z"`, `"end": "2026-05-20T04:00:00Z"`),
		text("question: another domain", "question.json", `"domain": "web"`, `"domain": "desk"`),
		text("question: no such domain", "question.json", `"domain": "web"`, `"domain": "nobody"`),
		text("question: another format", "question.json", `daybook-question/v1`, `daybook-question/x1`),
		text("question: not canonical", "question.json", `"case"`, ` "case"`, "question.json"),
		text("question: an unknown key", "question.json", `"case"`, `"cases"`, "question.json"),
		text("question: said to be in UTC", "question.json", `"zone": "America/New_York"`, `"zone": "UTC"`, "question.json"),
		text("question: a longer zone", "question.json", `"zone": "America/New_York"`, `"zone": ""`, "question.json"),
		answer("another size", "size", size, -1), answer("a larger size", "size", size, 1),
		answer("two parts", "parts", 1, 1), answer("the second part", "part", 1, 1),
		answer("a later window", "first", 0, 30), answer("a shorter window", "end", closing, -5), answer("a longer window", "end", closing, 1),
		answer("a longer window of runs", "runs_end", closing, 1),
		text("answer: a lower cut", "answer.json", fmt.Sprintf(`"cut": %d`, closing), fmt.Sprintf(`"cut": %d`, closing-1), "answer.json", "governance.bin"),
		text("answer: another close", "answer.json", fmt.Sprintf(`"close": %d`, closing), fmt.Sprintf(`"close": %d`, closing+1), "governance.bin"),
		text("answer: another origin", "answer.json", worldOrigin, "demo.invalid/log-0badcaff", "answer.json"),
		text("answer: another run", "answer.json", `"run": "`, `"run": "0`, "answer.json"),
		text("answer: another domain of producers", "answer.json", `    "web"`, `    "wec"`, "answer.json", "rows.bin", "streams.bin"),
		text("checkpoint: another size", "checkpoint", fmt.Sprintf("\n%d\n", size), fmt.Sprintf("\n%d\n", size+1), "checkpoint"),
		text("checkpoint: another origin", "checkpoint", worldOrigin+"\n", "demo.invalid/log-0badcaff\n", "checkpoint"),
		text("checkpoint: a witness left out", "checkpoint", "witness.example/a", "witness.example/c", "checkpoint"),
		text("earlier checkpoint: another size", earlier+".note", "\n"+strings.TrimLeft(earlier[12:], "0")+"\n", "\n1\n", "checkpoints/"),
		{"earlier checkpoint: a proof altered", func(f *forge) {
			b := f.files[earlier+".proof"]
			b[3] ^= 1
		}, []string{earlier + ".proof"}},
		{"earlier checkpoint: no proof", func(f *forge) { delete(f.files, earlier+".proof") }, []string{earlier + ".proof"}},
		{"earlier checkpoint: no note", func(f *forge) { delete(f.files, earlier+".note") }, []string{earlier + ".proof"}},
		{"no policy", func(f *forge) { delete(f.files, "policy.txt") }, []string{"policy.txt"}},
		{"no checkpoint", func(f *forge) { delete(f.files, "checkpoint") }, []string{"checkpoint"}},
		{"no question", func(f *forge) { delete(f.files, "question.json") }, []string{"question.json"}},
		{"no governance", func(f *forge) { delete(f.files, "governance.bin") }, []string{"governance.bin"}},
		{"an access in governance.bin", func(f *forge) {
			e := f.entries()
			e[f.answers()[0]].governed = true
			f.write(e)
		}, []string{"governance.bin"}},
		{"an approval in entries", func(f *forge) {
			e := f.entries()
			e[slices.IndexFunc(e, func(e forgedEntry) bool { return e.Place.Kind == daybookv1.Kind_KIND_APPROVAL })].governed = false
			f.write(e)
		}, []string{"entries/", "governance.bin"}},
		{"an entry of a stream that nobody asked for", func(f *forge) {
			raw := f.src.w.entries[5]
			e, err := verify.ParseEntry(raw)
			if err != nil {
				f.t.Fatal(err)
			}
			for i := range f.src.w.heads {
				if h := &f.src.w.heads[i]; h.Place.Kind == daybookv1.Kind_KIND_ACCESS && h.Place.Source == "desk" {
					raw, e = f.src.w.entries[i], *h
				}
			}
			all := append(f.entries(), forgedEntry{e, raw, false})
			slices.SortFunc(all, func(a, b forgedEntry) int { return int(a.Place.Index) - int(b.Place.Index) })
			f.write(all)
		}, []string{"entries/000001.bin"}},
	}
}

func derivedAttacks() []attack {
	var list []attack
	text := func(name, member, old, new string) {
		list = append(list, attack{name, func(f *forge) { f.stale = true; f.replace(member, old, new) }, []string{member}})
	}
	text("CSV: a verdict", "data/accesses-001.csv", ",authorized,", ",denied,")
	text("CSV: no byte order mark", "data/accesses-001.csv", "\ufeff", "")
	text("JSON lines: an actor", "data/accesses-001.jsonl", `"actor":"user-`, `"actor":"usEr-`)
	text("report: a sentence", "report.html", "performed", "attempted")
	text("report: a claim", "report.html", "</span> proved", "</span> Proved")
	text("report: a number", "report.html", "<b>7</b>", "<b>6</b>")
	text("report: the policy", "report.html", "http-equiv=\"Content-Security-Policy\"", "http-equiv=\"X\"")
	text("README", "README.txt", "Nothing in this file", "Everything in this file")
	text("a domain map", "maps/00000000000000000006.yaml", "purpose", "purp0se")
	text("columns", "data/columns.csv", "Who acted", "Who was there")
	text("alerts", "data/alerts.csv", "index,", "Index,")
	text("approvals", "data/approvals.csv", "cco", "ccp")
	text("closes", "data/closes.csv", "index,", "Index,")
	text("runs", "data/runs.csv", ",no,no,", ",no,yes,")
	for _, name := range []string{"data/accesses-001.csv", "data/accesses-001.jsonl", "report.html", "README.txt", "maps/00000000000000000006.yaml", "data/columns.csv", "data/alerts.csv"} {
		list = append(list,
			attack{name + " left out", func(f *forge) { f.stale = true; delete(f.files, name) }, []string{name}},
			attack{name + " cut short", func(f *forge) { f.stale = true; f.files[name] = f.files[name][:len(f.files[name])-1] }, []string{name}},
			attack{name + " made longer", func(f *forge) { f.stale = true; f.files[name] = append(f.files[name], ' ') }, []string{name}})
	}
	for _, name := range []string{"data/accesses-002.csv", "data/accesses-002.jsonl", "maps/00000000000000000007.yaml", "entries/000002.bin", "entries/000003.bin", "checkpoints/00000000000000000040.note", "log/checkpoint",
		"extra.txt", "../report.html", "REPORT.HTML", "data/"} {
		list = append(list, attack{"a member more: " + name, func(f *forge) { f.derive(); f.stale = true; f.files[name] = []byte("more\n") }, []string{name, "entries/000002.bin"}})
	}
	return list
}

func zipAttacks() []attack {
	file := func(name string, do func([]byte) []byte, names ...string) attack {
		return attack{name, func(f *forge) { f.zip = do(f.pack()) }, names}
	}
	return []attack{
		{"members in another order", func(f *forge) {
			for name := range f.files {
				f.order = append(f.order, name)
			}
			slices.Sort(f.order)
		}, []string{"manifest.json"}},
		{"an empty member", func(f *forge) {
			f.stale = true
			f.files["numbers.bin"] = nil
			f.order = []string{"question.json", "numbers.bin"}
		}, []string{"manifest.json", "numbers.bin", "answer.json"}},
		file("tail of the file cut", func(b []byte) []byte { return b[:len(b)-1] }),
		file("half of the file", func(b []byte) []byte { return b[:len(b)/2] }),
		file("empty file", func([]byte) []byte { return []byte{} }),
		file("a byte after the end", func(b []byte) []byte { return append(b, 0) }),
		file("a byte before the beginning", func(b []byte) []byte { return append([]byte{0}, b...) }),
		file("a comment", func(b []byte) []byte { b[len(b)-2] = 1; return append(b, 'x') }),
		file("twice", func(b []byte) []byte { return append(slices.Clone(b), b...) }),
		file("a prefix that offsets allow for", func(b []byte) []byte {
			end := len(b) - 22
			start := int(binary.LittleEndian.Uint32(b[end+16:]))
			for at := start; at < end; at += 46 + int(binary.LittleEndian.Uint16(b[at+28:])) {
				binary.LittleEndian.PutUint32(b[at+42:], binary.LittleEndian.Uint32(b[at+42:])+4)
			}
			binary.LittleEndian.PutUint32(b[end+16:], uint32(start+4))
			return append([]byte("#!/s"), b...)
		}),
		file("a name in the central header altered", func(b []byte) []byte {
			at := bytes.LastIndex(b, []byte("report.html"))
			copy(b[at:], "repord.html")
			return b
		}),
	}
}

// bases are the honest bundles that are forged.
func bases(t testing.TB) []*base {
	w := sampleWorld(t)
	return []*base{
		newBase(t, "main", w, w.source(), mainQuestion),
		newBase(t, "narrow", w, w.source(), "streams: ['access,web,prod-db,target']\nperiod: 2026-05-17\n"),
		newBase(t, "zero", w, w.source(), "from: nobody\nto: prod-db\nperiod: 2026-05-17\n"),
		newBase(t, "range", w, w.source(), "range: {first: 12, end: 31}\n"),
		newBase(t, "log", w, w.source(), "log: true\n"),
		newBase(t, "occurred", w, w.source(), "from: desk\nto: {function: database}\nperiod: {text: 2026-05-17, by: occurred, zone: America/New_York}\n"),
	}
}

// structured are the forgeries that somebody thought of.
func structured(t testing.TB, all []*base) (list []forgery) {
	for i, b := range all {
		attempts := memberAttacks(b.forge)
		if len(b.forge.windows) > 0 {
			attempts = append(attempts, hashAttacks(b.forge)...)
		}
		if i == 0 {
			attempts = append(attempts, attacks(b.src)...)
		}
		if b.name == "zero" {
			attempts = append(attempts, attack{"answer: a window of runs where there are none", func(f *forge) { f.replace("answer.json", `"runs_end": 0`, `"runs_end": 24`) }, []string{"answer.json"}})
		}
		for _, a := range attempts {
			f := b.forge.clone()
			a.do(f)
			c := forgery{name: b.name + "/" + a.name, base: b.name, file: f.pack(), policy: b.w.policy(), exit: failedOrNewer, names: a.names}
			if bytes.Equal(c.file, b.file) {
				t.Errorf("%s changes nothing", c.name)
			}
			list = append(list, c)
		}
	}
	return append(list, moreForgeries(t, all[0])...)
}

// TestAdversary forges bundles: each is caught, and what is wrong is named.
func TestAdversary(t *testing.T) {
	all := bases(t)
	for _, b := range all {
		if got := b.forge.clone().pack(); !bytes.Equal(got, b.file) {
			t.Fatalf("%s: the twin makes another file", b.name)
		}
	}
	list := structured(t, all)
	spread(len(list), func(i int) { list[i].judge(t) })
	t.Logf("%d forgeries", len(list))
	if *corpus != "" && !t.Failed() {
		writeCorpus(t, *corpus, append(all, smallBase(t)), list)
	}
}
