package verify_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// sampleRows are n rows whose keys leave room between them.
func sampleRows(n int) []verify.Row {
	rows := make([]verify.Row, n)
	for i := range rows {
		rows[i] = verify.Row{Key: []byte{2*byte(i) + 1}, Count: uint64(i + 1), Root: verify.Hash{byte(i)}}
	}
	return rows
}

func tableOf(t testing.TB, rows []verify.Row) *daybookv1.CloseTable {
	t.Helper()
	var b verify.TableBuilder
	for _, r := range rows {
		if _, err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.Table()
}

// proveRow proves a row by the leaves of all.
func proveRow(t testing.TB, rows []verify.Row, i int) *verify.ProvenRow {
	t.Helper()
	var leaves tree
	for _, r := range rows {
		leaves = append(leaves, verify.HashLeaf(r.AppendTo(nil)))
	}
	proof, err := verify.ProveRange(uint64(i), uint64(i)+1, uint64(len(rows)), leaves.nodes)
	if err != nil {
		t.Fatal(err)
	}
	return &verify.ProvenRow{Index: uint64(i), Row: rows[i], Proof: proof}
}

// sampleClose is a close of one whole day after another close.
func sampleClose(t testing.TB) *daybookv1.Close {
	t.Helper()
	streams := []verify.Row{
		{Key: []byte(verify.MakeStreamKey(daybookv1.Kind_KIND_ORIGIN_OPENED, "", "", 0, false)), Count: 1, Root: verify.Hash{1}},
		{Key: []byte(verify.MakeStreamKey(daybookv1.Kind_KIND_ACCESS, "a", "b", daybookv1.Side_SIDE_SOURCE, false)), Count: 3, Root: verify.Hash{2}},
		{Key: []byte(verify.MakeStreamKey(daybookv1.Kind_KIND_ACCESS, "a", "b", daybookv1.Side_SIDE_SOURCE, true)), Count: 2, Root: verify.Hash{3}},
		{Key: []byte(verify.MakeStreamKey(daybookv1.Kind_KIND_CLOSE, "", "", 0, false)), Count: 1, Root: verify.Hash{4}},
	}
	runs := []verify.Row{{Key: verify.RunRowKey("spiffe://a/b", verify.Hash{5}), Count: 3, Root: verify.Hash{6}}}
	root := verify.HashLeaf([]byte("root"))
	end := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC).UnixNano()
	return &daybookv1.Close{PeriodStartNs: end - verify.Day, PeriodEndNs: end, Cut: 7, PreviousCut: 3, PreviousClose: 4, Root: root[:],
		Streams: tableOf(t, streams), Runs: tableOf(t, runs), Kinds: []*daybookv1.CloseCount{{Value: 2, Count: 3}, {Value: 13, Count: 1}},
		Verdicts: []*daybookv1.CloseCount{{Value: 2, Count: 2}, {Value: 4, Count: 1}}}
}

// closeEntry puts a close at an index, a second after its period.
func closeEntry(t testing.TB, c *daybookv1.Close, index uint64) []byte {
	t.Helper()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	head := verify.BatchHead{FormatVersion: 1, LogTimeNS: c.PeriodEndNs + 1e9, Producer: "demo.invalid/log-0badcafe",
		KeyFingerprint: verify.Hash{1}, Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, Run: verify.Hash{2}, Epoch: 1, RulesVersion: 1}
	place := verify.EntryHead{Kind: daybookv1.Kind_KIND_CLOSE, Index: index, Number: 0, PreviousInStream: c.PreviousClose}
	if c.PreviousClose > 0 {
		place.Position = 1
	}
	place.Number = closeNumber
	return verify.AppendEntry(nil, head.AppendTo(nil), place.AppendTo(nil), body)
}

const closeNumber = 2

func TestCheckClose(t *testing.T) {
	good := sampleClose(t)
	if err := verify.CheckClose(good); err != nil {
		t.Fatal(err)
	}
	spoil := map[string]func(c *daybookv1.Close){
		"period empty":                 func(c *daybookv1.Close) { c.PeriodEndNs = c.PeriodStartNs },
		"two days":                     func(c *daybookv1.Close) { c.PeriodEndNs += verify.Day },
		"31 days":                      func(c *daybookv1.Close) { c.PeriodEndNs += 30 * verify.Day },
		"over midnight":                func(c *daybookv1.Close) { c.PeriodEndNs++ },
		"over many midnights":          func(c *daybookv1.Close) { c.PeriodEndNs += 40*verify.Day + 1 },
		"cut 0":                        func(c *daybookv1.Close) { c.Cut = 0 },
		"cut before the previous":      func(c *daybookv1.Close) { c.PreviousCut = 8 },
		"first with a previous cut":    func(c *daybookv1.Close) { c.PreviousClose = 0 },
		"first in the middle of a day": func(c *daybookv1.Close) { c.PreviousClose, c.PreviousCut, c.PeriodStartNs = 0, 0, c.PeriodStartNs+1 },
		"previous below its cut":       func(c *daybookv1.Close) { c.PreviousClose = 3 },
		"streams sum to less":          func(c *daybookv1.Close) { c.Streams.Sum-- },
		"more streams than entries":    func(c *daybookv1.Close) { c.Streams.Rows = 8 },
		"rows with the empty root":     func(c *daybookv1.Close) { r := verify.EmptyRoot(); c.Streams.Root = r[:] },
		"no rows with a root":          func(c *daybookv1.Close) { c.Runs.Rows, c.Runs.Sum = 0, 0 },
		"kinds sum to less":            func(c *daybookv1.Close) { c.Kinds[0].Count-- },
		"kinds overflow":               func(c *daybookv1.Close) { c.Kinds[0].Count, c.Kinds[1].Count = 1<<63, 1<<63+4 },
		"verdicts sum to more":         func(c *daybookv1.Close) { c.Verdicts[0].Count++ },
		"alerts of none":               func(c *daybookv1.Close) { c.Alerts = []*daybookv1.CloseCount{{Value: 1, Count: 1}} },
	}
	for name, change := range spoil {
		c := proto.CloneOf(good)
		change(c)
		if err := verify.CheckClose(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for name, change := range map[string]func(c *daybookv1.Close){
		"32 days": func(c *daybookv1.Close) { c.PeriodEndNs += 31 * verify.Day },
		"part":    func(c *daybookv1.Close) { c.PeriodEndNs -= 5 },
	} {
		c := proto.CloneOf(good)
		change(c)
		if err := verify.CheckClose(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckCloseEntryAndChain(t *testing.T) {
	c := sampleClose(t)
	parse := func(raw []byte) (*daybookv1.Close, error) {
		e, err := verify.ParseEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		return verify.CheckCloseEntry(&e)
	}
	got, err := parse(closeEntry(t, c, 8))
	if err != nil || !proto.Equal(got, c) {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := parse(closeEntry(t, c, 6)); err == nil {
		t.Error("a close below its cut was taken")
	}
	next := proto.CloneOf(c)
	next.PreviousClose, next.PreviousCut, next.Cut, next.PeriodStartNs, next.PeriodEndNs = 9, 7, 11, c.PeriodEndNs, c.PeriodEndNs+verify.Day
	next.Streams.Sum = 11
	if err := verify.CheckCloseChain(c, 8, next); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(c *daybookv1.Close){
		"another close between": func(c *daybookv1.Close) { c.PreviousClose++ },
		"time between":          func(c *daybookv1.Close) { c.PeriodStartNs++ },
		"entries between":       func(c *daybookv1.Close) { c.PreviousCut++ },
		"a stream has vanished": func(c *daybookv1.Close) { c.Streams.Rows = 3 },
	} {
		other := proto.CloneOf(next)
		change(other)
		if verify.CheckCloseChain(c, 8, other) == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestRowsOfSmallTables proves every row and every absence of every small table,
// and refuses each proof for what it does not prove.
func TestRowsOfSmallTables(t *testing.T) {
	for n := range 20 {
		rows := sampleRows(n)
		table := tableOf(t, rows)
		if err := verify.CheckTable(table, rows); err != nil {
			t.Fatal(err)
		}
		if n > 1 && (verify.CheckTable(table, rows[1:]) == nil || verify.CheckTable(table, append(slices.Clone(rows[1:]), rows[0])) == nil) {
			t.Errorf("%d rows: fewer, or in another order, were taken", n)
		}
		for key := range 2*n + 2 {
			checkKey(t, table, rows, byte(key))
		}
	}
}

func checkKey(t *testing.T, table *daybookv1.CloseTable, rows []verify.Row, key byte) {
	t.Helper()
	n := len(rows)
	if i := int(key) / 2; key%2 == 1 && i < n {
		p := proveRow(t, rows, i)
		if err := verify.CheckRow(table, *p); err != nil {
			t.Errorf("row %d of %d: %v", i, n, err)
		}
		p.Row.Count++
		if verify.CheckRow(table, *p) == nil {
			t.Errorf("row %d of %d with another count was taken", i, n)
		}
	}
	// Every pair of neighbours proves what lies between, and nothing else.
	for at := range n + 1 {
		var before, after *verify.ProvenRow
		if at > 0 {
			before = proveRow(t, rows, at-1)
		}
		if at < n {
			after = proveRow(t, rows, at)
		}
		absent := int(key) == 2*at || at == n && int(key) > 2*n-1
		if err := verify.CheckAbsent(table, []byte{key}, before, after); (err == nil) != absent {
			t.Errorf("key %d at %d of %d: %v", key, at, n, err)
		}
		if before != nil && after != nil && (verify.CheckAbsent(table, []byte{key}, before, nil) == nil || verify.CheckAbsent(table, []byte{key}, nil, after) == nil) {
			t.Errorf("key %d at %d of %d: one neighbour was enough", key, at, n)
		}
	}
	if n > 0 && verify.CheckAbsent(table, []byte{key}, nil, nil) == nil {
		t.Errorf("key %d: no rows were enough in a table of %d", key, n)
	}
	if n > 2 && verify.CheckAbsent(table, []byte{key}, proveRow(t, rows, 0), proveRow(t, rows, 2)) == nil {
		t.Errorf("key %d: rows 0 and 2 were taken for neighbours", key)
	}
}

func TestTableBuilderOrder(t *testing.T) {
	var b verify.TableBuilder
	for i, c := range []struct {
		key string
		ok  bool
	}{{"b", true}, {"b", false}, {"a", false}, {"", false}, {"ba", true}} {
		if _, err := b.Add(verify.Row{Key: []byte(c.key)}); (err == nil) != c.ok {
			t.Errorf("%d: key %q: %v", i, c.key, err)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add(sampleRows(3)[2].AppendTo(nil))
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := verify.ParseRow(b)
		if err == nil && !bytes.Equal(r.AppendTo(nil), b) {
			t.Errorf("%x became %x", b, r.AppendTo(nil))
		}
	})
}

func FuzzParseRunRowKey(f *testing.F) {
	f.Add(verify.RunRowKey("spiffe://a/b", verify.Hash{7}))
	f.Add(verify.OneOffRowKey("spiffe://a/b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		producer, run, oneOff, err := verify.ParseRunRowKey(b)
		if err != nil {
			return
		}
		key := verify.RunRowKey(producer, run)
		if oneOff {
			key = verify.OneOffRowKey(producer)
		}
		if !bytes.Equal(key, b) {
			t.Errorf("%x became %x", b, key)
		}
	})
}

func FuzzParseClose(f *testing.F) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(sampleClose(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := verify.ParseClose(b)
		if err != nil {
			return
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x became %x, %v", b, again, err)
		}
	})
}

func FuzzParseSlip(f *testing.F) {
	for _, line := range sampleSlips(f) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, err := verify.ParseSlip(line)
		if err != nil {
			return
		}
		if again, err := verify.FormatSlip(s); err != nil || again != line {
			t.Errorf("%q became %q, %v", line, again, err)
		}
	})
}

// sampleSlips are the slips of a day's close and of a part's.
func sampleSlips(t testing.TB) []string {
	t.Helper()
	part := sampleClose(t)
	part.PeriodEndNs -= 1500
	var out []string
	for _, c := range []*daybookv1.Close{sampleClose(t), part} {
		line, err := verify.FormatSlip(verify.SlipOf("demo.invalid/log-0badcafe", 8, closeEntry(t, c, 8), c))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
	return out
}

func TestSlip(t *testing.T) {
	for i, line := range sampleSlips(t) {
		c := sampleClose(t)
		c.PeriodEndNs -= int64(i) * 1500
		entry := closeEntry(t, c, 8)
		if err := verify.CheckSlip(line, "demo.invalid/log-0badcafe", 8, entry); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		c.Kinds[0].Count, c.Kinds[1].Count = c.Kinds[0].Count+1, c.Kinds[1].Count-1
		c.Kinds = c.Kinds[:1]
		c.Verdicts[0].Count++
		if err := verify.CheckSlip(line, "demo.invalid/log-0badcafe", 8, closeEntry(t, c, 8)); !errors.Is(err, verify.ErrProof) {
			t.Errorf("the slip of a close with other counts: %v", err)
		}
		for at := range len(line) {
			spoilt := []byte(line)
			spoilt[at] ^= 1
			if _, err := verify.ParseSlip(string(spoilt)); err == nil {
				t.Errorf("a slip with another byte %d was taken", at)
			}
		}
	}
	if _, err := verify.FormatSlip(verify.Slip{Origin: "a b", End: 1}); err == nil {
		t.Error("an origin with a space has a slip")
	}
}

func ExampleParseSlip() {
	s, err := verify.ParseSlip(exampleSlip)
	fmt.Println(s.Origin, time.Unix(0, s.Start).UTC().Format(time.DateOnly), s.Index, s.Cut, err)
	// Output: demo.invalid/log-0badcafe 2026-11-24 8 7 <nil>
}

// exampleClose is the example of CheckClose's comment.
const exampleClose = "" +
	"090000e38917d2ea18110000321bac20eb1818072003280432203c06f9a65725" +
	"af605261f636672c9620d409731d89a451d7455fe9c4ae1678293a2608041220" +
	"6e3c82c5fcf3522630c0ddc08ba7798601d818cede7a6666fe8d15f88d049cce" +
	"1807422608011220d56245dfa6eec864da2afe94f0806e0bc85d5abf64b425cc" +
	"72b7c432b14d871e18034a04080210034a04080d100152040802100252040804" +
	"1001"

func ExampleParseClose() {
	body, err := hex.DecodeString(exampleClose)
	if err != nil {
		panic(err)
	}
	c, err := verify.ParseClose(body)
	fmt.Println(time.Unix(0, c.PeriodStartNs).UTC().Format(time.DateOnly), c.Cut, c.PreviousCut, c.Streams.Rows, c.Runs.Rows, err)
	// Output: 2026-11-24 7 3 4 1 <nil>
}

// exampleSlip is the example of FormatSlip's comment.
const exampleSlip = `daybook-slip/v1 demo.invalid/log-0badcafe 2026-11-24 close 8 cut 7 root PAb5plclr2BSYfY2ZyyWINQJcx2JpFHXRV/pxK4WeCk= streams 4 bjyCxfzzUiYwwN3Ai6d5hgHYGM7eemZm/o0V+I0EnM4= runs 1 1WJF36buyGTaKv6U8IBuC8hdWr9ktCXMcrfEMrFNhx4= entry aTHwxc5nihtAwC/jwICCzn0rWwQvk/BBfqGrXc+VFEI= check 47e92681`

func TestExampleSlip(t *testing.T) {
	if got := sampleSlips(t)[0]; got != exampleSlip {
		t.Errorf("the example is\n%s\nand the comment has\n%s", got, exampleSlip)
	}
}
