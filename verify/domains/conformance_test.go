package domains_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

var update = flag.Bool("update", false, "write the conformance kit anew")

// A kitEntry is an entry of the kit's log, and what a verifier must say of it.
type kitEntry struct {
	Name    string `json:"name"`
	Entry   []byte `json:"entry"`           // base64 of the entry bytes
	Verdict string `json:"verdict"`         // ok or refused; a refused one is not applied
	Flow    string `json:"flow,omitempty"`  // that declares an access
	Rests   string `json:"rests,omitempty"` // index of the approval that the verdict rests on
	Wrong   string `json:"wrong,omitempty"` // what is wrong with a refused one
}

// TestVerdictConformance makes the log of the golden cases: the map as parts, its
// approval, approvals and a revocation, and each access with its verdict and with
// another. Whoever judges them otherwise does not conform.
func TestVerdictConformance(t *testing.T) {
	kit := makeVerdictKit(t)
	file := filepath.Join("testdata", "conformance", "verdict.json")
	got, err := json.MarshalIndent(kit, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the kit differs from what was released: a change of a verdict is a change of the rules; see go test -update")
	}
	var read []kitEntry
	if err := json.Unmarshal(want, &read); err != nil {
		t.Fatal(err)
	}
	runVerdictKit(t, read)
}

// runVerdictKit judges each entry of the kit as an auditor does.
func runVerdictKit(t *testing.T, kit []kitEntry) {
	j := new(domains.Judge)
	for _, c := range kit {
		e, err := verify.ParseEntry(c.Entry)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		var ev verify.EventFields
		if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
			if ev, err = verify.ParseEvent(e.Body); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
		}
		grounds, err := j.Check(&e, &ev)
		if (err == nil) != (c.Verdict == "ok") {
			t.Errorf("%s: %v, want %s", c.Name, err, c.Verdict)
		}
		if err != nil {
			continue
		}
		rests := ""
		if grounds.Approval != nil {
			rests = strconv.FormatUint(grounds.Approval.Index, 10)
		}
		if grounds.Flow.GetId() != c.Flow || rests != c.Rests {
			t.Errorf("%s: flow %q, rests on %q; want %q, %q", c.Name, grounds.Flow.GetId(), rests, c.Flow, c.Rests)
		}
		if err := j.Apply(e.Place.Index, e.Head.LogTimeNS, e.Place.Kind, e.Body); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// A kitMaker writes the kit's log.
type kitMaker struct {
	t       *testing.T
	entries []kitEntry
	inForce uint64
}

func (k *kitMaker) entry(place verify.EntryHead, logged int64, body []byte) []byte {
	head := verify.BatchHead{FormatVersion: 1, LogTimeNS: logged, Producer: "example.com/log", KeyFingerprint: verify.Hash{1},
		Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, Run: verify.Hash{2}, Epoch: 1, MapIndex: k.inForce, RulesVersion: 2}
	return verify.AppendEntry(nil, head.AppendTo(nil), place.AppendTo(nil), body)
}

func (k *kitMaker) govern(name string, index uint64, logged int64, kind daybookv1.Kind, m proto.Message) {
	place := verify.EntryHead{Kind: kind, Index: index, Number: index}
	k.entries = append(k.entries, kitEntry{Name: name, Entry: k.entry(place, logged, body(k.t, m)), Verdict: "ok"})
}

// access adds an access with its verdict, and with another one.
func (k *kitMaker) access(c goldenCase, index uint64, rests string) {
	ev := goldenBase()
	if c.change != nil {
		c.change(&ev)
	}
	logged := int64(10_000)
	if c.late {
		logged = int64(2 * 24 * time.Hour)
	}
	name := func(id string) string {
		if id == domains.Unmapped {
			return "nowhere.example.org"
		}
		return id
	}
	operation := string(ev.Operation)
	if operation == "" {
		operation = "op"
	}
	event := body(k.t, &daybookv1.Event{EventId: []byte(c.name), OccurredAtNs: ev.OccurredAtNS, Source: &daybookv1.Source{Domain: name(c.source), Proof: ev.SourceProof},
		Target: &daybookv1.Target{Domain: name(c.target)}, Actor: &daybookv1.Actor{Id: string(ev.ActorID)},
		Action:        &daybookv1.Action{Class: ev.ActionClass, Operation: operation},
		Authorization: &daybookv1.Authorization{GrantId: string(ev.GrantID), Purpose: string(ev.Purpose)},
		Decision:      ev.Decision, Outcome: &daybookv1.Outcome{Result: ev.Outcome}})
	source, target := c.source, c.target
	if source == "unknown" {
		source, target = domains.Unmapped, domains.Unmapped
	}
	place := verify.EntryHead{Kind: daybookv1.Kind_KIND_ACCESS, Index: index, Number: index, Source: source, Target: target, Late: c.late, Verdict: c.want}
	k.entries = append(k.entries, kitEntry{Name: c.name, Entry: k.entry(place, logged, event), Verdict: "ok", Flow: c.flow, Rests: rests})
	if place.Verdict = daybookv1.Verdict_VERDICT_AUTHORIZED; c.want == place.Verdict {
		place.Verdict = daybookv1.Verdict_VERDICT_UNDECLARED
	}
	k.entries = append(k.entries, kitEntry{Name: c.name + ", judged otherwise", Entry: k.entry(place, logged, event), Verdict: "refused", Wrong: "the verdict"})
}

func makeVerdictKit(t *testing.T) []kitEntry {
	k := &kitMaker{t: t}
	document, err := domains.MarshalDocument(sampleDocument())
	if err != nil {
		t.Fatal(err)
	}
	parts := domains.SplitDocument(document)
	k.govern("the map's one part", 5, 300, daybookv1.Kind_KIND_PART, parts[0])
	k.govern("its approval", 9, 400, daybookv1.Kind_KIND_APPROVAL, &daybookv1.Approval{Id: "map", Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE,
		Sha256: parts[0].Sha256, Approver: "spiffe://people/cco"})
	k.govern("in force", 10, 500, daybookv1.Kind_KIND_DOMAIN_MAP, &daybookv1.DomainMap{Sha256: parts[0].Sha256, FirstPart: 6, Parts: 1,
		Approvals: []uint64{10}, Author: sampleDocument().Author})
	k.inForce = 10
	before := func(index uint64) {
		for _, c := range goldenCases() {
			if c.index == index {
				k.access(c, index, restsOn(c))
			}
		}
	}
	for _, e := range goldenEntries() {
		before(e.index)
		k.govern("entry "+strconv.FormatUint(e.index, 10), e.index, e.logged, e.kind, e.message)
	}
	for i, c := range goldenCases() {
		if c.index == 0 {
			k.access(c, 100+uint64(i), restsOn(c))
		}
	}
	return k.entries
}

// restsOn is the approval that a golden case's verdict rests on, by its grant.
func restsOn(c goldenCase) string {
	ev := goldenBase()
	if c.change != nil {
		c.change(&ev)
	}
	if c.flow != "d-needs" || c.want == daybookv1.Verdict_VERDICT_NOT_APPROVED {
		return ""
	}
	if string(ev.GrantID) == "grant-of-the-flow" {
		return "26"
	}
	return string(ev.GrantID[2:])
}
