package page_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same table on each machine

	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// zoneCase is a question, and a piece of what the page says of its zone; empty:
// nothing.
type zoneCase struct {
	question *question.Question
	says     string
}

// zoneCases are questions of years that no table of zones tells differently, as they
// were asked and shifted.
func zoneCases(t *testing.T) (cases []zoneCase) {
	t.Helper()
	read := func(zone, period string) *question.Question {
		q, err := question.Read([]byte("period: "+period+"\nzone: "+zone+"\n"), time.LoadLocation)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	for _, zone := range []string{"UTC", "America/New_York", "America/Sao_Paulo", "Europe/London", "Asia/Kolkata", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia"} {
		// In Sao Paulo and Beirut a day begins at one, in Apia one is left out.
		for _, period := range []string{"2019-Q1", "2018-11-04", "2019-03-31", "2011-12", "2010..2012", "2016-05-17T10:00:00+02:00..2016-05-18T00:00:00Z"} {
			cases = append(cases, zoneCase{question: read(zone, period)})
		}
	}
	shifted := read("America/New_York", "2019-01")
	shifted.Period.Start, shifted.Period.End = "2019-01-01T04:00:00Z", "2019-02-01T04:00:00Z"
	shifted.Period.Offsets = []question.Offset{{From: "0001-01-01T00:00:00Z", Seconds: -4 * 3600, Name: "EDT"}}
	skewed := read("America/New_York", "2019")
	skewed.Period.Offsets[3].Seconds += 1800
	longer := read("Europe/London", "2019")
	longer.Period.Offsets = append(longer.Period.Offsets[:1:1], longer.Period.Offsets[3:]...)
	nowhere := read("UTC", "2019-01")
	nowhere.Period.Zone = "Mars/Olympus"
	return append(cases, zoneCase{shifted, "a bound of 2019-01 in America/New_York is 2019-01-01T05:00:00Z, not 2019-01-01T04:00:00Z"},
		zoneCase{skewed, "clocks in America/New_York are at -0"}, zoneCase{longer, "clocks in Europe/London are at +01:00 at 2018-04-01T00:00:00Z, not at +00:00"}, zoneCase{nowhere, `this browser has no zone "Mars/Olympus"`})
}

// TestZones holds periods against node's table of zones, as Go does against its own.
func TestZones(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED: no node on this machine: the page's zones are not compared with Go's")
	}
	cases := zoneCases(t)
	var list bytes.Buffer
	for _, c := range cases {
		if err := c.question.Check(); err != nil {
			t.Fatal(err)
		}
		if got := c.question.Period.InZone(time.LoadLocation); (got == nil) != (c.says == "") {
			t.Errorf("%s in %s: %v", c.question.Period.Text, c.question.Period.Zone, got)
		}
		line, err := json.Marshal(string(c.question.Document()))
		if err != nil {
			t.Fatal(err)
		}
		list.Write(append(line, '\n'))
	}
	file := filepath.Join(t.TempDir(), "questions")
	if err := os.WriteFile(file, list.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, "testdata/zones.mjs", file).Output()
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if err != nil || len(lines) != len(cases) {
		t.Fatalf("%v: %d answers to %d cases: %s", err, len(lines), len(cases), out)
	}
	for i, c := range cases {
		if p := c.question.Period; (lines[i] == "") != (c.says == "") || !strings.Contains(lines[i], c.says) {
			t.Errorf("%s in %s: %q, want %q", p.Text, p.Zone, lines[i], c.says)
		}
	}
}
