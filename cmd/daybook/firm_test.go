package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/daybook-ledger/daybook/client/synthetic/firm"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

var update = flag.Bool("update", false, "rewrite the files of the sample firm")

// A firmStep is a line of day.jsonl.
type firmStep struct {
	OffsetMS int64           `json:"offset_ms"` // log time, from UTC midnight of the day
	Producer string          `json:"producer,omitempty"`
	Event    json.RawMessage `json:"event,omitempty"`
	Lost     uint64          `json:"lost,omitempty"`
	Person   string          `json:"person,omitempty"`
	Approve  json.RawMessage `json:"approve,omitempty"`
	Revoke   string          `json:"revoke,omitempty"`
	Propose  string          `json:"propose,omitempty"`
	Planted  string          `json:"planted,omitempty"`
	Verdict  string          `json:"verdict,omitempty"`
}

// A firmExpected is expected.json.
type firmExpected struct {
	Date     string         `json:"date"`
	Counts   map[string]int `json:"verdict_counts"` // of all accesses
	Verdicts []firmVerdict  `json:"verdicts"`       // of those that something is wrong with
	Alerts   []firmAlert    `json:"alerts"`         // all, once each
}

type firmVerdict struct {
	EventID string `json:"event_id"`
	Verdict string `json:"verdict"`
	Planted string `json:"planted"`
}

// A firmAlert names an alert; the subject, source or producer of the alert has
// Subject in it.
type firmAlert struct {
	Type    string `json:"type"`
	Subject string `json:"subject,omitempty"`
}

// enumWord is an enum's value as the command line has it: not-approved.
func enumWord(name, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "_", "-"))
}

// lines marshals values, one a line.
func lines[T any](t *testing.T, indent string, values ...T) []byte {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// firmDay is the day of the sample firm, as files have it.
func firmDay(t *testing.T) ([]firmStep, *firmExpected) {
	t.Helper()
	expected := &firmExpected{Date: firm.Date.Format(time.DateOnly), Counts: map[string]int{}}
	var steps []firmStep
	for _, s := range firm.Day(firm.Date) {
		f := firmStep{OffsetMS: s.At.Sub(firm.Date).Milliseconds(), Producer: s.Producer, Lost: s.Lost, Person: s.Person, Revoke: s.Revoke, Planted: s.Planted}
		var err error
		switch {
		case s.Event != nil:
			f.Verdict = enumWord(s.Verdict.String(), "VERDICT_")
			expected.Counts[f.Verdict]++
			if s.Planted != "" {
				expected.Verdicts = append(expected.Verdicts, firmVerdict{string(s.Event.EventId), f.Verdict, s.Planted})
			} else if s.Verdict != daybookv1.Verdict_VERDICT_AUTHORIZED && s.Verdict != daybookv1.Verdict_VERDICT_INTERNAL {
				t.Errorf("event %s is %s, and nothing is planted", s.Event.EventId, f.Verdict)
			}
			f.Event, err = protojson.Marshal(s.Event)
		case s.Approve != nil:
			f.Approve, err = protojson.Marshal(s.Approve)
		case s.Propose:
			f.Propose = "map.yaml"
		}
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, f)
	}
	for _, a := range firm.Expected() {
		expected.Alerts = append(expected.Alerts, firmAlert{enumWord(a.Type.String(), "ALERT_TYPE_"), a.Subject})
	}
	return steps, expected
}

// TestFirmFiles holds the files of the sample firm against the package that
// makes it. `go test ./cmd/daybook -run TestFirmFiles -update` rewrites them.
func TestFirmFiles(t *testing.T) {
	steps, expected := firmDay(t)
	for name, want := range map[string][]byte{
		"map.yaml":      firm.Map(),
		"day.jsonl":     lines(t, "", steps...),
		"expected.json": lines(t, "  ", expected),
	} {
		path := filepath.Join("testdata/firm", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the sample firm: run with -update, and look at the change", path)
		}
	}
}
