package verify_test

import (
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// kitClose checks a close, and that it follows another where one is given.
func kitClose(t *testing.T, c kitCase) (map[string]string, error) {
	closeOf := func(input string) (*daybookv1.Close, uint64, error) {
		e, err := verify.ParseEntry(c.bytes(t, input))
		if err != nil {
			return nil, 0, err
		}
		m, err := verify.CheckCloseEntry(&e)
		return m, e.Place.Index, err
	}
	m, _, err := closeOf("entry")
	if err != nil {
		return nil, err
	}
	out := map[string]string{"period_start_ns": strconv.FormatInt(m.PeriodStartNs, 10), "period_end_ns": strconv.FormatInt(m.PeriodEndNs, 10),
		"cut": strconv.FormatUint(m.Cut, 10)}
	if c.Input["previous"] == "" {
		return out, nil
	}
	previous, index, err := closeOf("previous")
	if err != nil {
		t.Fatal(err)
	}
	return out, verify.CheckCloseChain(previous, index, m)
}

// kitTable makes the table of rows.
func kitTable(t *testing.T, c kitCase) (map[string]string, error) {
	var b verify.TableBuilder
	for _, text := range strings.Fields(c.Input["rows"]) {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := verify.ParseRow(raw)
		if err != nil {
			return nil, err
		}
		if _, err := b.Add(r); err != nil {
			return nil, err
		}
	}
	m := b.Table()
	return map[string]string{"table_rows": strconv.FormatUint(m.Rows, 10), "root": hex.EncodeToString(m.Root), "sum": strconv.FormatUint(m.Sum, 10)}, nil
}

// kitRow checks a row where key is not given, else that the key is absent.
func kitRow(t *testing.T, c kitCase) (map[string]string, error) {
	root := hexHash(t, c.Input["root"])
	table := &daybookv1.CloseTable{Rows: c.number(t, "table_rows"), Root: root[:]}
	proven := func(prefix string) (*verify.ProvenRow, error) {
		if c.Input[prefix] == "" {
			return nil, nil
		}
		raw, err := hex.DecodeString(c.Input[prefix])
		if err != nil {
			t.Fatal(err)
		}
		r, err := verify.ParseRow(raw)
		return &verify.ProvenRow{Index: c.number(t, prefix+"_index"), Row: r, Proof: c.hashes(t, prefix+"_proof")}, err
	}
	if c.Input["key"] == "" {
		p, err := proven("row")
		if err != nil {
			return nil, err
		}
		return map[string]string{"count": strconv.FormatUint(p.Row.Count, 10)}, verify.CheckRow(table, *p)
	}
	key, err := hex.DecodeString(c.Input["key"])
	if err != nil {
		t.Fatal(err)
	}
	before, err := proven("before")
	if err != nil {
		return nil, err
	}
	after, err := proven("after")
	if err != nil {
		return nil, err
	}
	return nil, verify.CheckAbsent(table, key, before, after)
}

// kitSlip checks a slip against a close's entry.
func kitSlip(t *testing.T, c kitCase) (map[string]string, error) {
	return nil, verify.CheckSlip(c.Input["slip"], c.Input["origin"], c.number(t, "index"), c.bytes(t, "entry"))
}

func closeCases(t *testing.T) []kitCase {
	one := func(name, verdict string, change func(c *daybookv1.Close), index uint64) kitCase {
		m := sampleClose(t)
		change(m)
		return kitCase{Name: name, Input: map[string]string{"entry": b64(closeEntry(t, m, index))}, Verdict: verdict}
	}
	after := func(name, verdict string, change func(c *daybookv1.Close)) kitCase {
		m := sampleClose(t)
		m.PreviousClose, m.PreviousCut, m.PeriodStartNs, m.Cut, m.Streams.Sum = 9, 7, m.PeriodEndNs, 11, 11
		m.PeriodEndNs += verify.Day
		change(m)
		c := kitCase{Name: name, Input: map[string]string{"entry": b64(closeEntry(t, m, 12))}, Verdict: verdict}
		c.Input["previous"] = b64(closeEntry(t, sampleClose(t), 8))
		return c
	}
	same := func(*daybookv1.Close) {}
	return []kitCase{
		one("a day", caseOK, same, 8),
		one("part of a day", caseOK, func(c *daybookv1.Close) { c.PeriodEndNs -= 5 }, 8),
		one("32 missed days", caseOK, func(c *daybookv1.Close) { c.PeriodEndNs += 31 * verify.Day }, 8),
		one("31 missed days", caseRefused, func(c *daybookv1.Close) { c.PeriodEndNs += 30 * verify.Day }, 8),
		one("over midnight", caseRefused, func(c *daybookv1.Close) { c.PeriodEndNs++ }, 8),
		one("before its cut", caseRefused, same, 6),
		one("streams sum to less than the cut", caseRefused, func(c *daybookv1.Close) { c.Streams.Sum-- }, 8),
		one("kinds sum to more than the period", caseRefused, func(c *daybookv1.Close) { c.Kinds[1].Count++ }, 8),
		one("verdicts sum to less than the accesses", caseRefused, func(c *daybookv1.Close) { c.Verdicts[1].Value, c.Verdicts = 4, c.Verdicts[:1] }, 8),
		one("no rows, and not the empty root", caseRefused, func(c *daybookv1.Close) { c.Runs.Rows, c.Runs.Sum = 0, 0 }, 8),
		one("the first starts in the middle of a day", caseRefused, func(c *daybookv1.Close) {
			c.PreviousClose, c.PreviousCut, c.PeriodStartNs = 0, 0, c.PeriodStartNs+1
		}, 8),
		after("the next day", caseOK, same),
		after("a nanosecond between two closes", caseRefused, func(c *daybookv1.Close) { c.PeriodStartNs++ }),
		after("an entry between two closes", caseRefused, func(c *daybookv1.Close) { c.PreviousCut++; c.Kinds[0].Count--; c.Verdicts[0].Count-- }),
		after("another close before", caseRefused, func(c *daybookv1.Close) { c.PreviousClose-- }),
		after("fewer streams", caseRefused, func(c *daybookv1.Close) { c.Streams.Rows-- }),
	}
}

func rowsHex(rows ...verify.Row) string {
	var out []string
	for _, r := range rows {
		out = append(out, hex.EncodeToString(r.AppendTo(nil)))
	}
	return strings.Join(out, " ")
}

func tableCases() []kitCase {
	one := func(name, verdict, rows string) kitCase {
		return kitCase{Name: name, Input: map[string]string{"rows": rows}, Verdict: verdict}
	}
	r := sampleRows(5)
	runs := []verify.Row{{Key: verify.OneOffRowKey("spiffe://a/b"), Count: 2}, {Key: verify.RunRowKey("spiffe://a/b", verify.Hash{}), Count: 1}}
	return []kitCase{
		one("no rows", caseOK, ""),
		one("one row", caseOK, rowsHex(r[:1]...)),
		one("five rows", caseOK, rowsHex(r...)),
		one("runs and one-offs", caseOK, rowsHex(runs...)),
		one("a key twice", caseRefused, rowsHex(r[0], r[0])),
		one("keys descend", caseRefused, rowsHex(r[1], r[0])),
		one("row without a key", caseRefused, "0000"+strings.Repeat("00", 40)),
		one("row cut short", caseRefused, rowsHex(r[0])[2:]),
		one("row and a byte more", caseRefused, rowsHex(r[0])+"00"),
	}
}

func rowCases(t *testing.T) []kitCase {
	rows := sampleRows(5)
	table := tableOf(t, rows)
	input := func(more ...string) map[string]string {
		m := map[string]string{"table_rows": "5", "root": hex.EncodeToString(table.Root)}
		for i := 0; i < len(more); i += 2 {
			if name, index := more[i], more[i+1]; name == "key" {
				m[name] = index
			} else {
				n, err := strconv.Atoi(index)
				if err != nil {
					t.Fatal(err)
				}
				p := proveRow(t, rows, n)
				m[name], m[name+"_index"], m[name+"_proof"] = rowsHex(p.Row), index, hexes(p.Proof...)
			}
		}
		return m
	}
	other := input("row", "2")
	other["row_index"] = "3"
	empty := hex.EncodeToString(tableOf(t, nil).Root)
	return []kitCase{
		{Name: "the first row", Input: input("row", "0"), Verdict: caseOK},
		{Name: "the last row", Input: input("row", "4"), Verdict: caseOK},
		{Name: "a row at another place", Input: other, Verdict: caseRefused},
		{Name: "absent between two", Input: input("key", "04", "before", "1", "after", "2"), Verdict: caseOK},
		{Name: "absent before the first", Input: input("key", "00", "after", "0"), Verdict: caseOK},
		{Name: "absent after the last", Input: input("key", "0a", "before", "4"), Verdict: caseOK},
		{Name: "absent from an empty table", Input: map[string]string{"table_rows": "0", "root": empty, "key": "04"}, Verdict: caseOK},
		{Name: "present, said to be absent", Input: input("key", "03", "before", "1", "after", "2"), Verdict: caseRefused},
		{Name: "no neighbours", Input: input("key", "05", "before", "1", "after", "3"), Verdict: caseRefused},
		{Name: "one neighbour", Input: input("key", "04", "before", "1"), Verdict: caseRefused},
		{Name: "no rows of a table that has some", Input: input("key", "04"), Verdict: caseRefused},
		{Name: "key beside the neighbours", Input: input("key", "06", "before", "1", "after", "2"), Verdict: caseRefused},
	}
}

func slipCases(t *testing.T) []kitCase {
	slips := sampleSlips(t)
	part := sampleClose(t)
	part.PeriodEndNs -= 1500
	one := func(name, verdict, slip string, c *daybookv1.Close, index string) kitCase {
		return kitCase{Name: name, Input: map[string]string{"slip": slip, "origin": "demo.invalid/log-0badcafe", "index": index, "entry": b64(closeEntry(t, c, 8))}, Verdict: verdict}
	}
	changed := proto.CloneOf(sampleClose(t))
	changed.Root[0] ^= 1
	return []kitCase{
		one("of a day", caseOK, slips[0], sampleClose(t), "8"),
		one("of a part", caseOK, slips[1], part, "8"),
		one("of another close", caseRefused, slips[0], changed, "8"),
		one("of another index", caseRefused, slips[0], sampleClose(t), "9"),
		one("a digit changed", caseRefused, strings.Replace(slips[0], "cut 7", "cut 6", 1), sampleClose(t), "8"),
		one("two spaces", caseRefused, strings.Replace(slips[0], " cut", "  cut", 1), sampleClose(t), "8"),
		one("a line feed", caseRefused, slips[0]+"\n", sampleClose(t), "8"),
	}
}
