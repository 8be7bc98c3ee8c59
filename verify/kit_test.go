package verify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// buildKit makes the conformance cases, all but their outputs.
func buildKit(t *testing.T) map[string][]kitCase {
	l := newSampleLog(t, 5)
	return map[string][]kitCase{
		"entry": entryCases(t, l), "event": eventCases(t), "checkpoint": checkpointCases(t, l), "policy": policyCases(t),
		"receipt": receiptCases(t, l), "range": rangeCases(t, l), "consistency": consistencyCases(t, l), "hash": hashCases(),
		"close": closeCases(t), "table": tableCases(), "row": rowCases(t), "slip": slipCases(t),
		"fingerprint": fingerprintCases(t, l),
	}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func hexes(hashes ...verify.Hash) string {
	var out []string
	for _, h := range hashes {
		out = append(out, hex.EncodeToString(h[:]))
	}
	return strings.Join(out, " ")
}

func entryCases(t *testing.T, l *sampleLog) []kitCase {
	e, err := verify.ParseEntry(l.entries[2])
	if err != nil {
		t.Fatal(err)
	}
	add := func(cases []kitCase, name string, entry []byte, verdict, field string) []kitCase {
		return append(cases, kitCase{Name: name, Input: map[string]string{"entry": b64(entry)}, Verdict: verdict, Field: field})
	}
	place := func(change func(*verify.EntryHead)) []byte {
		p := e.Place
		change(&p)
		return verify.AppendEntry(nil, e.HeadBytes, p.AppendTo(nil), e.Body)
	}
	var c []kitCase
	c = add(c, "origin opened", l.entries[0], caseOK, "")
	c = add(c, "run opened", l.entries[1], caseOK, "")
	c = add(c, "access", l.entries[2], caseOK, "")
	c = add(c, "access with a blind, late", place(func(p *verify.EntryHead) { p.Blind, p.Late = bytes.Repeat([]byte{5}, 16), true }), caseOK, "")
	for _, k := range daybookv1.Kind_name {
		kind := daybookv1.Kind(daybookv1.Kind_value[k])
		if kind <= daybookv1.Kind_KIND_ACCESS {
			continue
		}
		p := verify.EntryHead{Kind: kind, Index: 9}
		if verify.TakesNumber(kind) {
			p.Number = 4
		}
		c = add(c, strings.ToLower(strings.TrimPrefix(k, "KIND_")), verify.AppendEntry(nil, e.HeadBytes, p.AppendTo(nil),
			marshal(t, filled(bodyMessages[kind].ProtoReflect().New()).Interface())), caseOK, "")
	}
	slices.SortStableFunc(c, func(a, b kitCase) int { return strings.Compare(a.Name, b.Name) })
	c = add(c, "number missing", place(func(p *verify.EntryHead) { p.Number = 0 }), caseRefused, "place.number")
	c = add(c, "blind of 15 bytes", place(func(p *verify.EntryHead) { p.Blind = make([]byte, 15) }), caseRefused, "place.blind")
	c = add(c, "body missing", verify.AppendEntry(nil, e.HeadBytes, e.PlaceBytes, nil), caseRefused, "body")
	c = add(c, "body of another kind", place(func(p *verify.EntryHead) { p.Kind, p.Side, p.Verdict = daybookv1.Kind_KIND_GAP, 0, 0 }), caseRefused, "first")
	c = add(c, "a byte more", append(bytes.Clone(l.entries[2]), 0), caseRefused, "")
	c = add(c, "head's length not minimal", append([]byte{0x0a, byte(len(e.HeadBytes)) | 0x80, byte(len(e.HeadBytes)>>7) | 0x80, 0}, l.entries[2][3:]...), caseRefused, "head")
	c = add(c, "kind 21", place(func(p *verify.EntryHead) { p.Kind = 21 }), caseNewer, "")
	c = add(c, "verdict 14", place(func(p *verify.EntryHead) { p.Verdict = 14 }), caseNewer, "")
	c = add(c, "format version 2", verify.AppendEntry(nil, append([]byte{8, 2}, e.HeadBytes[2:]...), e.PlaceBytes, e.Body), caseNewer, "")
	c = add(c, "field 4 of the entry", append(bytes.Clone(l.entries[2]), 0x22, 1, 'x'), caseNewer, "")
	return add(c, "field 13 of the place", verify.AppendEntry(nil, e.HeadBytes, append(bytes.Clone(e.PlaceBytes), 0x68, 1), e.Body), caseNewer, "")
}

func eventCases(t *testing.T) []kitCase {
	event := func(name, verdict, field string, change func(*daybookv1.Event)) kitCase {
		e := sampleEvent()
		change(e)
		return kitCase{Name: name, Input: map[string]string{"event": b64(marshal(t, e))}, Verdict: verdict, Field: field}
	}
	raw := func(name, verdict, field string, b []byte) kitCase {
		return kitCase{Name: name, Input: map[string]string{"event": b64(b)}, Verdict: verdict, Field: field}
	}
	small := minimalEvent(t)
	no := false
	return []kitCase{
		event("usual", caseOK, "", func(*daybookv1.Event) {}),
		raw("as small as may be", caseOK, "", small),
		event("optional bool false", caseOK, "", func(e *daybookv1.Event) { e.Action.ReadOnly = &no }),
		event("domain to be hashed", caseOK, "", func(e *daybookv1.Event) { e.Target.Domain = "Prod DB" }),
		event("domain in capitals, with a dot", caseOK, "", func(e *daybookv1.Event) { e.Target.Domain = "PROD.Example." }),
		event("actor sealed", caseOK, "", func(e *daybookv1.Event) { e.Actor.Id = ""; e.Sealed = seals(701) }),
		event("attribute's value sealed", caseOK, "", func(e *daybookv1.Event) { e.Attributes[1].Value = ""; e.Sealed = seals(1501) }),
		raw("unknown field", caseOK, "", append(bytes.Clone(small), 0xa0, 0x06, 1)),
		event("actor id missing", caseRefused, "actor.id", func(e *daybookv1.Event) { e.Actor.Id = "" }),
		event("event id of 65 bytes", caseRefused, "event_id", func(e *daybookv1.Event) { e.EventId = make([]byte, 65) }),
		event("decision unspecified", caseRefused, "decision", func(e *daybookv1.Event) { e.Decision = 0 }),
		event("decision 5", caseRefused, "decision", func(e *daybookv1.Event) { e.Decision = 5 }),
		event("attributes descend", caseRefused, "attributes[1]", func(e *daybookv1.Event) { slices.Reverse(e.Attributes) }),
		event("sealed and present", caseRefused, "sealed[0].field", func(e *daybookv1.Event) { e.Sealed = seals(701) }),
		event("source domain sealed", caseRefused, "sealed[0].field", func(e *daybookv1.Event) { e.Source.Domain = ""; e.Sealed = seals(501) }),
		raw("field repeated", caseRefused, "event_id", append([]byte{0x0a, 1, 1}, small...)),
		raw("field out of order", caseRefused, "side", append(bytes.Clone(small), 0x20, 1)),
		raw("empty string written", caseRefused, "retention_class", append(bytes.Clone(small), 0x72, 0)),
		raw("length not minimal", caseRefused, "retention_class", append(bytes.Clone(small), 0x72, 0x81, 0, 'a')),
		raw("group", caseRefused, "100", append(bytes.Clone(small), 0xa3, 0x06, 0xa4, 0x06)),
		raw("string not UTF-8", caseRefused, "retention_class", append(bytes.Clone(small), 0x72, 1, 0xff)),
		raw("unknown fields of 4,097 bytes", caseRefused, "100", append(append(bytes.Clone(small), 0xa2, 0x06, 0xfd, 0x1f), make([]byte, 4093)...)),
		raw("empty", caseRefused, "event_id", nil),
	}
}

func checkpointCases(t *testing.T, l *sampleLog) []kitCase {
	w4, w6 := newSigner("witness.example/a", 4), newSigner("witness.example/b", 6)
	none := verify.FormatPolicy(l.origin.vkey(t))
	both := fmt.Sprintf("log %s\nwitness a %s\nwitness b %s\ngroup g all a b\nquorum g\n", l.origin.vkey(t), w4.vkey(t), w6.vkey(t))
	plain, cosigned := string(l.checkpoint(t, 5)), string(l.checkpoint(t, 5, w4, w6))
	one := func(name, policy, note, verdict string) kitCase {
		return kitCase{Name: name, Input: map[string]string{"policy": policy, "note": note}, Verdict: verdict}
	}
	return []kitCase{
		one("signed by the log", none, plain, caseOK),
		one("cosignatures of strangers are passed over", none, cosigned, caseOK),
		one("cosigned by both", both, cosigned, caseOK),
		one("cosigned by one", both, string(l.checkpoint(t, 5, w6)), caseRefused),
		one("another size", none, strings.Replace(plain, "\n5\n", "\n6\n", 1), caseRefused),
		one("leading zero", none, strings.Replace(plain, "\n5\n", "\n05\n", 1), caseRefused),
		one("bad signature of a known key", none, plain+spoilSignature(l.origin.line(t, l.text(5), 0)), caseRefused),
		one("bad cosignature", both, string(l.checkpoint(t, 5, w4))+spoilSignature(w6.line(t, l.text(5), 7)), caseRefused),
		one("cosignature with another time", both, string(l.checkpoint(t, 5, w6))+spoilTime(w4.line(t, l.text(5), 7)), caseRefused),
		one("no signature", none, l.text(5)+"\n", caseRefused),
		one("carriage returns", none, strings.ReplaceAll(plain, "\n", "\r\n"), caseRefused),
	}
}

func policyCases(t *testing.T) []kitCase {
	log, w := newSigner("log.example", 1).vkey(t), newSigner("witness.example/a", 4).vkey(t)
	one := func(name, text, verdict string) kitCase {
		return kitCase{Name: name, Input: map[string]string{"policy": text}, Verdict: verdict}
	}
	return []kitCase{
		one("one log", "log "+log+"\nquorum none\n", caseOK),
		one("comment, tabs, URLs", "# ours\nlog\t"+log+"\thttps://log.example/\n\nwitness a "+w+" https://a.example/\nquorum a\n", caseOK),
		one("no log", "witness a "+w+"\nquorum a\n", caseRefused),
		one("no quorum", "log "+log+"\n", caseRefused),
		one("key id of another key", "log "+strings.Replace(log, "+", "+0", 1)+"\nquorum none\n", caseRefused),
		one("member of two groups", "log "+log+"\nwitness a "+w+"\ngroup g any a\ngroup h any a\nquorum h\n", caseRefused),
		one("used before defined", "log "+log+"\ngroup g any a\nwitness a "+w+"\nquorum g\n", caseRefused),
		one("witness's key for a log", "log "+w+"\nquorum none\n", caseRefused),
		one("comment behind a line", "log "+log+"\nquorum none # none\n", caseRefused),
	}
}

func receiptCases(t *testing.T, l *sampleLog) []kitCase {
	policy := verify.FormatPolicy(l.origin.vkey(t))
	one := func(name, receipt string, entry []byte, verdict string) kitCase {
		return kitCase{Name: name, Input: map[string]string{"policy": policy, "receipt": receipt, "entry": b64(entry)}, Verdict: verdict}
	}
	good := string(l.receipt(t, 3, 7))
	changed := bytes.Clone(l.entries[3])
	changed[len(changed)-1] ^= 1
	proof := strings.Split(good, "\n")[2]
	return []kitCase{
		one("entry 3 of 7", good, l.entries[3], caseOK),
		one("the only entry", string(l.receipt(t, 0, 1)), l.entries[0], caseOK),
		one("the last entry", string(l.receipt(t, 6, 7)), l.entries[6], caseOK),
		one("with extra data", strings.Replace(good, "index", "extra AQI=\nindex", 1), l.entries[3], caseOK),
		one("its neighbour's entry", good, l.entries[4], caseRefused),
		one("one bit of the entry", good, changed, caseRefused),
		one("another index", strings.Replace(good, "index 3", "index 2", 1), l.entries[3], caseRefused),
		one("index with a zero before it", strings.Replace(good, "index 3", "index 03", 1), l.entries[3], caseRefused),
		one("a hash less", strings.Replace(good, proof+"\n", "", 1), l.entries[3], caseRefused),
		one("a hash more", strings.Replace(good, proof+"\n", proof+"\n"+proof+"\n", 1), l.entries[3], caseRefused),
		one("version 2", strings.Replace(good, "@v1", "@v2", 1), l.entries[3], caseNewer),
	}
}

func rangeCases(t *testing.T, l *sampleLog) []kitCase {
	var c []kitCase
	for _, r := range [][3]int{{0, 1, 1}, {0, 7, 7}, {3, 4, 7}, {1, 4, 5}, {2, 3, 7}, {4, 7, 7}, {1, 2, 6}} {
		p, err := verify.ProveRange(uint64(r[0]), uint64(r[1]), uint64(r[2]), l.leaves[:r[2]].nodes)
		if err != nil {
			t.Fatal(err)
		}
		input := func(p []verify.Hash) map[string]string {
			return map[string]string{"lo": fmt.Sprint(r[0]), "size": fmt.Sprint(r[2]), "leaves": hexes(l.leaves[r[0]:r[1]]...), "proof": hexes(p...), "root": hexes(l.leaves[:r[2]].root())}
		}
		name := fmt.Sprintf("[%d, %d) at %d", r[0], r[1], r[2])
		c = append(c, kitCase{Name: name, Input: input(p), Verdict: caseOK})
		c = append(c, kitCase{Name: name + ", a hash more", Input: input(append(slices.Clone(p), verify.Hash{})), Verdict: caseRefused})
		if len(p) > 0 {
			c = append(c, kitCase{Name: name + ", a hash less", Input: input(p[1:]), Verdict: caseRefused})
		}
		if len(p) > 1 {
			other := slices.Clone(p)
			slices.Reverse(other)
			c = append(c, kitCase{Name: name + ", turned round", Input: input(other), Verdict: caseRefused})
		}
	}
	return c
}

func consistencyCases(t *testing.T, l *sampleLog) []kitCase {
	var c []kitCase
	for _, s := range [][2]int{{0, 0}, {0, 7}, {1, 7}, {3, 7}, {4, 7}, {6, 7}, {7, 7}} {
		p, err := verify.ProveConsistency(uint64(s[0]), uint64(s[1]), l.leaves[:s[1]].nodes)
		if err != nil {
			t.Fatal(err)
		}
		input := func(root verify.Hash, p []verify.Hash) map[string]string {
			return map[string]string{"first": fmt.Sprint(s[0]), "second": fmt.Sprint(s[1]), "first_root": hexes(root), "second_root": hexes(l.leaves[:s[1]].root()), "proof": hexes(p...)}
		}
		name := fmt.Sprintf("%d to %d", s[0], s[1])
		root := l.leaves[:s[0]].root()
		c = append(c, kitCase{Name: name, Input: input(root, p), Verdict: caseOK})
		c = append(c, kitCase{Name: name + ", another root", Input: input(verify.Hash{1}, p), Verdict: caseRefused})
		c = append(c, kitCase{Name: name + ", a hash more", Input: input(root, append(slices.Clone(p), verify.Hash{})), Verdict: caseRefused})
	}
	return c
}

func hashCases() []kitCase {
	one := func(name string, input map[string]string) kitCase {
		return kitCase{Name: name, Input: input, Verdict: caseOK}
	}
	zero := hexes(verify.Hash{})
	return []kitCase{
		one("leaf of nothing", map[string]string{"of": "leaf", "entry": ""}),
		one("leaf of one byte", map[string]string{"of": "leaf", "entry": "AA=="}),
		one("import run", map[string]string{"of": "composite", "label": "import", "parts": zero + " 6c616e6c2d61757468 00000001"}),
		one("one-off run", map[string]string{"of": "composite", "label": "oneoff", "parts": "7370696666653a2f2f612f62 01"}),
		one("start of a run", map[string]string{"of": "composite", "label": "run", "parts": "7370696666653a2f2f612f62 " + zero}),
		one("sealed value", map[string]string{"of": "composite", "label": "seal", "parts": "01 000002bd " + zero + " 616c696365"}),
		one("alert", map[string]string{"of": "composite", "label": "alert", "parts": "00000008 776562 0000000000000000 0000000000000001"}),
		one("next of a run", map[string]string{"of": "run", "previous": zero, "number": "1", "body_sha256": zero}),
	}
}
