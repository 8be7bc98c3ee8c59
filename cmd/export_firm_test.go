package cmd_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// A listed access is one as a list shows it.
type listedAccess struct {
	*daybookv1.EntryHead
	logged, occurred time.Time
}

// section is where the answer stands in an examination file.
func (a *listedAccess) section() string {
	switch {
	case strings.HasPrefix(a.Source, "?") || strings.HasPrefix(a.Target, "?"):
		return "unmapped"
	case a.Late:
		return "late"
	}
	return "first-hand"
}

// listAccesses lists every access of a log, in the plainest way.
func listAccesses(r *reader) []listedAccess {
	r.t.Helper()
	var all []listedAccess
	request := &apiv1.ListEntriesRequest{Ascending: true, PageSize: 1000}
	for {
		page, err := r.query.ListEntries(r.t.Context(), request)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range page.Entries {
			if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
				all = append(all, listedAccess{e.Place, time.Unix(0, e.Head.LogTimeNs).UTC(), time.Unix(0, e.GetEvent().OccurredAtNs).UTC()})
			}
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return all
		}
	}
}

// An exportedAnswer is one access in an examination file.
type exportedAnswer struct {
	Index   uint64 `json:"index"`
	Section string `json:"section"`
	Source  string `json:"source"`
	Target  string `json:"target"`
}

// answersIn reads the answers of an examination file.
func answersIn(t *testing.T, path string) []exportedAnswer {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var all []exportedAnswer
	for _, f := range z.File {
		if !strings.HasPrefix(f.Name, "data/accesses-") || !strings.HasSuffix(f.Name, ".jsonl") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(r)
		for lines.Buffer(nil, 1<<20); lines.Scan(); {
			var a exportedAnswer
			if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			all = append(all, a)
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return all
}

// Of the firm's day: what each question is, and which accesses answer it.
var firmQuestions = []struct {
	name, question string
	asks           func(*listedAccess) bool
}{
	{"an alias to a domain", "{from: web, to: prod-db}", func(a *listedAccess) bool { return is(a.Source, "customer-web") && is(a.Target, "prod-db") }},
	{"a DNS name", "from: desk.firm.example", func(a *listedAccess) bool { return is(a.Source, "broker-desk") }},
	{"test to production", "{from: {tier: test}, to: {tier: production}}", func(a *listedAccess) bool {
		return is(a.Source, "test-db") && is(a.Target, "admin-console", "broker-desk", "compliance", "customer-web", "market-data", "prod-db")
	}},
	{"a function", "to: {function: database}", func(a *listedAccess) bool { return is(a.Target, "prod-db") }},
	{"an owner", "{from: {owner: Data Services}}", func(a *listedAccess) bool { return is(a.Source, "prod-db", "test-db") }},
	{"a domain that no map has", "to: partner-api", func(a *listedAccess) bool { return is(a.Target) }},
	{"nothing", "{from: compliance, to: broker-desk}", func(a *listedAccess) bool { return is(a.Source, "compliance") && is(a.Target, "broker-desk") }},
	{"everything", "{}", func(*listedAccess) bool { return true }},
	{"a stream", `streams: ["access,broker-desk,prod-db,source"]`, func(a *listedAccess) bool {
		return a.Source == "broker-desk" && a.Target == "prod-db" && a.Side == daybookv1.Side_SIDE_SOURCE && !a.Late
	}},
	{"a late stream and another", `streams: ["access,compliance,prod-db,source,late", "access,test-db,prod-db,source"]`, func(a *listedAccess) bool {
		return a.Target == "prod-db" && (a.Source == "compliance" && a.Late || a.Source == "test-db")
	}},
	{"an hour by log time", "{period: '2026-03-02T08:00:00Z..2026-03-02T09:00:00Z'}", func(a *listedAccess) bool { return a.logged.Hour() == 8 }},
	{"the day before by occurrence", "{period: 2026-03-01, by: occurred}", func(a *listedAccess) bool { return a.occurred.Day() == 1 }},
	{"a local day by occurrence", "{from: compliance, period: 2026-03-02, zone: America/New_York, by: occurred}", func(a *listedAccess) bool {
		return is(a.Source, "compliance") && a.occurred.Add(-5*time.Hour).Day() == 2
	}},
	{"a quarter", "{from: {function: admin-interface}, period: 2026-Q1}", func(a *listedAccess) bool { return is(a.Source, "admin-console") }},
	{"another quarter", "{period: 2026-Q2}", func(*listedAccess) bool { return false }},
}

// is tells whether an id is one of those that are asked for; what the map does not
// know always is.
func is(id string, asked ...string) bool {
	return strings.HasPrefix(id, "?") || slices.Contains(asked, id)
}

// TestTheFirmsDayIsExported asks for examination files of the sample firm's day,
// has each checked, and compares the answers with a plain list of the log.
func TestTheFirmsDayIsExported(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	firmLog(t, log)
	serve(t, log, append(anyPorts(), "--dev")...)
	profile := filepath.Join(log, "profile.yaml")
	t.Setenv("DAYBOOK_PROFILE", profile)
	policy := filepath.Join(dir, "policy")
	if err := os.WriteFile(policy, []byte(must(t, "daybook", "checkpoint", "--policy")), 0o600); err != nil {
		t.Fatal(err)
	}
	all := listAccesses(newReader(t, profile))
	if len(all) < 1500 {
		t.Fatalf("the day has %d accesses", len(all))
	}
	sections := map[string]int{}
	for i, q := range firmQuestions {
		t.Run(q.name, func(t *testing.T) {
			question, file := filepath.Join(dir, "question.yaml"), filepath.Join(dir, string(rune('a'+i))+".zip")
			if err := os.WriteFile(question, []byte(q.question), 0o600); err != nil {
				t.Fatal(err)
			}
			var said struct {
				Verdict string
				Size    uint64
			}
			mustJSON(t, &said, "daybook", "export", "--question", question, "-o", file, "--json")
			if a := run(t, "daybook-verify", "bundle", "--policy", policy, file); !strings.HasPrefix(a.stdout, said.Verdict+"\n") && !strings.HasPrefix(a.stdout, said.Verdict+"; not claimed: ") {
				t.Errorf("daybook-verify: exit %d\n%s%s", a.code, a.stdout, a.stderr)
			}
			if i%4 == 0 {
				sameAgain(t, question, said.Size, file)
			}
			answers := answersIn(t, file)
			n := 0
			for i := range all {
				a := &all[i]
				if !q.asks(a) {
					continue
				}
				if n < len(answers) && answers[n] == (exportedAnswer{a.Index, a.section(), a.Source, a.Target}) {
					sections[a.section()]++
					n++
					continue
				}
				t.Fatalf("answer %d of %d is not entry %d, %s -> %s", n, len(answers), a.Index, a.Source, a.Target)
			}
			if n != len(answers) {
				t.Errorf("%d answers, want %d", len(answers), n)
			}
			t.Logf("%d answers, %s", n, said.Verdict)
		})
	}
	for _, want := range []string{"first-hand", "late", "unmapped"} {
		if sections[want] == 0 {
			t.Errorf("no answer is in section %s", want)
		}
	}
}

// sameAgain: the same question at the same checkpoint gives the same bytes.
func sameAgain(t *testing.T, question string, size uint64, file string) {
	t.Helper()
	again := file + ".again"
	must(t, "daybook", "export", "--question", question, "-o", again, "--at", fmt.Sprint(size))
	a, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(again)
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("the same question at size %d gave other bytes, %v", size, err)
	}
}
