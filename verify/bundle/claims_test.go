package bundle_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// knowing is a source that knows the hash of the body that the log dropped.
type knowing struct {
	*worldSource
	number uint64
	sum    verify.Hash
}

// Numbers yields what is there, and the hash of what was dropped.
func (s *knowing) Numbers(ctx context.Context, producer string, run verify.Hash, first, end uint64, yield func(verify.Hash) error) error {
	for k := first; k < end; k++ {
		if k != s.number {
			if err := s.worldSource.Numbers(ctx, producer, run, k, k+1, yield); err != nil {
				return err
			}
			continue
		}
		if err := yield(s.sum); err != nil {
			return err
		}
	}
	return nil
}

// TestDroppedNumber: a ledger that took an event in and left it out of the log can
// show its hash where a file has the bodies of other numbers not. Nothing is proved
// of a run with such a number.
func TestDroppedNumber(t *testing.T) {
	w := newWorld(t, start, "witness.example/a", "witness.example/b")
	web := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(w.event("web", "prod-db"))
	if err != nil {
		t.Fatal(err)
	}
	sum := verify.Hash(sha256.Sum256(body))
	web.last++
	web.hash = verify.RunNext(web.hash, web.last, sum)
	dropped := web.last
	w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
	w.heartbeat(web)
	w.now = start.Add(15 * time.Hour).UnixNano()
	w.closeAt(w.now)
	w.archive()
	r := check(t, w.trust(), build(t, &knowing{w.source(), dropped, sum}, "from: web\nto: prod-db\n"))
	c := r.Claims[2]
	if c.State != report.NotClaimed || !strings.Contains(c.Detail, "0 of 1 runs") || !strings.Contains(c.Detail, "of 1 numbers only the hashes are here") {
		t.Errorf("%s: %s: %s", r.Verdict, c.State, c.Detail)
	}
}

// TestGapWithoutAnswers: what a run lost could have been an answer, also where it
// has none, or where none of the entries is an access.
func TestGapWithoutAnswers(t *testing.T) {
	w := newWorld(t, start, "witness.example/a", "witness.example/b")
	web := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
	w.heartbeat(web)
	w.gap(w.run("spiffe://web/gateway", "2", daybookv1.Provenance_PROVENANCE_FIRST_HAND), 500)
	w.now = start.Add(15 * time.Hour).UnixNano()
	w.closeAt(w.now)
	w.archive()
	for _, text := range []string{"from: web\nto: prod-db\n", "log: true\n", "range: {first: 0, end: 8}\n", "streams: ['gap,web,']\n"} {
		if r := check(t, w.trust(), build(t, w.source(), text)); r.Verdict != bundle.DeclaredGaps {
			t.Errorf("%q: %s", text, r.Verdict)
		}
	}
}

// TestLossesWithoutAnswers: an answer of zero has no run, and none of its gaps; the
// alerts of gaps and silences, which every file has, say what was lost all the same.
func TestLossesWithoutAnswers(t *testing.T) {
	w := newWorld(t, start, "witness.example/a", "witness.example/b")
	web := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	desk := w.run("spiffe://desk/app", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	w.append(desk, daybookv1.Kind_KIND_ACCESS, w.event("desk", "prod-db"))
	w.heartbeat(desk)
	w.gap(web, 500)
	w.gap(web, 1)
	w.now += int64(time.Hour)
	w.alert(&daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_SILENCE, DetectorVersion: 1, Producer: desk.producer, Subject: "run of desk", PeriodStartNs: 1, PeriodEndNs: 2})
	w.now = start.Add(15 * time.Hour).UnixNano()
	w.closeAt(w.now)
	w.archive()
	for text, want := range map[string][]report.Loss{
		"from: web\nto: hr\n":                     {{Producer: desk.producer, Silences: 1}, {Producer: web.producer, Asked: true, Gaps: 2}},
		"from: hr\nperiod: 2026-05-17\n":          {{Producer: desk.producer, Silences: 1}, {Producer: web.producer, Gaps: 2}},
		"to: hr\n":                                {{Producer: desk.producer, Silences: 1}, {Producer: web.producer, Gaps: 2}},
		"from: web\nperiod: 2026-05-16\n":         nil,
		"streams: ['access,hr,prod-db,source']\n": {{Producer: desk.producer, Silences: 1}, {Producer: web.producer, Gaps: 2}},
		"log: true\n":                             {{Producer: desk.producer, Silences: 1}, {Producer: web.producer, Gaps: 2}},
	} {
		b := build(t, w.source(), text)
		r := check(t, w.trust(), b)
		if got := r.Parts[0].Losses; !slices.Equal(got, want) || (r.Verdict == bundle.DeclaredGaps) != (len(want) > 0) {
			t.Errorf("%q: %s: %+v", text, r.Verdict, got)
		}
		members := unzip(t, b)
		for _, name := range []string{"report.html", "README.txt"} {
			if said := bytes.Contains(members[name], []byte("The log itself says that reports are missing")); said != (len(want) > 0) {
				t.Errorf("%q: %s says it: %v", text, name, said)
			}
		}
	}
}

// TestMissingParts: some of the parts and not all are no question to a check, and no
// fault of the files.
func TestMissingParts(t *testing.T) {
	w := sampleWorld(t)
	parts := splitAt(t, w.source(), "from: web\n", 120<<10)
	other := build(t, w.source(), "from: desk\n")
	for _, c := range []struct {
		files []int // from 1
		want  string
	}{
		{[]int{3, 1}, "parts 1, 3 of 3 are here, part 2 is missing: give all parts together, or one of them alone"},
		{[]int{2, 2}, "part 2 of 3 is here, parts 1, 3 are missing: give all parts together, or one of them alone"},
		{[]int{2, 1, 2}, "parts 1, 2 of 3 are here, part 3 is missing: give all parts together, or one of them alone"},
		{[]int{2, 1, 3, 2, 1}, "parts 1, 2 are there twice: give each part once"},
	} {
		var files []bundle.File
		for _, n := range c.files {
			files = append(files, bundle.File{R: bytes.NewReader(parts[n-1]), Size: int64(len(parts[n-1]))})
		}
		r, err := bundle.Check(t.Context(), files, w.trust())
		var e *bundle.PartsError
		if r != nil || !errors.As(err, &e) || err.Error() != c.want {
			t.Errorf("%v: %v, %v", c.files, r, err)
		}
	}
	if r := check(t, w.trust(), parts[0], other, parts[2]); r.Verdict != bundle.Failed || r.Reason != "these are parts of different answers" {
		t.Errorf("another answer between: %s: %s", r.Verdict, r.Reason)
	}
}

// TestPartAlone: one part does not show all that the question asks for.
func TestPartAlone(t *testing.T) {
	w := sampleWorld(t)
	parts := splitAt(t, w.source(), "from: web\n", 120<<10)
	for i, b := range parts {
		if c := check(t, w.trust(), b).Claims[1]; c.State != report.NotClaimed || !strings.Contains(c.Detail, "the other parts are not here") {
			t.Errorf("part %d alone: %s: %s", i+1, c.State, c.Detail)
		}
	}
	if c := check(t, w.trust(), parts...).Claims[1]; c.State != report.Proved {
		t.Errorf("all parts: %s: %s", c.State, c.Detail)
	}
}
