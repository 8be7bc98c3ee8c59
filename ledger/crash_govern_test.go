package ledger_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore/crashtest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// owner approves a flow; cco what is none.
var owner = ledger.Person{ID: "spiffe://people.example/owner", Authentication: "mtls"}

// governMap is a map of several parts that needs two approvals; another text makes
// another version.
func governMap(text string) []byte {
	file := strings.Replace(string(firmMap("")), "approver: cco, mode", "approver: owner, needs: approval, mode", 1)
	file = strings.Replace(file, "people:\n", "people:\n  - {id: owner, identities: [spiffe://people.example/owner]}\n", 1)
	file = strings.Replace(file, "firm: Example", "firm: "+text, 1)
	return []byte(file + "# " + strings.Repeat("x", 2*domains.MaxPart) + "\n")
}

// A governLife is a script of proposals, approvals and revocations.
type governLife struct{}

// governSteps are what people do; each may be done again until it is.
var governSteps = []struct {
	name string
	do   func(l *ledger.Ledger) error
}{
	{"propose", func(l *ledger.Ledger) error { return proposeAgain(l, "First") }},
	{"approve", func(l *ledger.Ledger) error { return approveAgain(l, cco) }},
	{"enforce", func(l *ledger.Ledger) error { return approveAgain(l, owner) }},
	{"permit", func(l *ledger.Ledger) error {
		_, _, err := l.Approve(context.Background(), cco, &daybookv1.Approval{Id: "grant", Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR,
			Name: "alice", From: "web", To: "db", NotAfterNs: time.Now().Add(time.Hour).UnixNano()})
		return except(err, ledger.ErrApprovalTaken)
	}},
	{"revoke", func(l *ledger.Ledger) error {
		_, err := l.Revoke(context.Background(), cco, "grant", "done", "")
		return except(err, ledger.ErrRevoked)
	}},
	{"propose more", func(l *ledger.Ledger) error { return proposeAgain(l, "Second") }},
	{"replace", func(l *ledger.Ledger) error { return approveAgain(l, cco) }},
}

func except(err, unless error) error {
	if errors.Is(err, unless) {
		return nil
	}
	return err
}

func proposeAgain(l *ledger.Ledger, firm string) error {
	_, err := l.ProposeMap(context.Background(), author, governMap(firm))
	return except(except(err, domains.ErrProposed), domains.ErrUnchanged)
}

// approveAgain approves the open proposal; there may be none any more.
func approveAgain(l *ledger.Ledger, who ledger.Person) error {
	for _, p := range l.Proposals() {
		_, _, err := l.Approve(context.Background(), who, &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, Sha256: p.SHA256[:]})
		var approved *domains.ApproverError
		if err != nil && !errors.As(err, &approved) {
			return err
		}
	}
	return nil
}

// run makes a log and takes the steps in three lives of it.
func (f *governLife) run(d *crashtest.Disk) {
	if !makeLog(d) {
		return
	}
	for part := range 3 {
		l, closeLog, err := openLog(d.FS, d.Fatal)
		if err != nil {
			return
		}
		ok := true
		for i := part * 3; ok && i < min(part*3+3, len(governSteps)); i++ {
			if ok = governSteps[i].do(l) == nil; ok {
				d.Ack(i + 1)
			}
		}
		if err := closeLog(); err != nil || !ok {
			return
		}
	}
}

// check opens what is left, after which everything acknowledged holds, and ends
// the script; all of it holds after another opening too.
func (f *governLife) check(t testing.TB, fs vfs.FS, acked int) {
	t.Helper()
	for open := range 2 {
		l, closeLog, err := openLog(fs, nil)
		if err != nil {
			if acked == 0 && open == 0 {
				return // no log was promised yet
			}
			t.Fatalf("opening what is left after %d steps: %v", acked, err)
		}
		checkGoverned(t, l, acked)
		for _, step := range governSteps[min(acked, len(governSteps)):] {
			if err := step.do(l); err != nil {
				t.Fatalf("after %d steps, %s: %v", acked, step.name, err)
			}
		}
		acked = len(governSteps)
		checkGoverned(t, l, acked)
		if r, err := l.Fsck(context.Background(), nil); err != nil || !r.OK {
			t.Fatalf("fsck: %+v, %v", r, err)
		}
		if err := closeLog(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkGoverned compares what is in force with what was acknowledged.
func checkGoverned(t testing.TB, l *ledger.Ledger, acked int) {
	t.Helper()
	firm := l.MapInForce()
	grants := map[string]domains.Approved{}
	l.Approvals(func(a domains.Approved) bool { grants[a.Body.Id] = a; return true })
	switch grant, known := grants["grant"]; {
	case acked >= 1 && firm == nil && len(l.Proposals()) != 1:
		t.Fatalf("after %d steps %d proposals are open", acked, len(l.Proposals()))
	case acked == 2 && firm == nil && len(l.Proposals()[0].Missing()) != 1:
		t.Fatalf("an approval that was acknowledged does not count: %v are missing", l.Proposals()[0].Missing())
	case acked >= 3 && firm == nil, acked >= len(governSteps) && firm.Document().Firm != "Second":
		t.Fatalf("after %d steps %v is in force", acked, firm)
	case acked >= 4 && !known, acked >= 5 && grant.Revocation == 0:
		t.Fatalf("after %d steps the approval is %+v", acked, grant)
	}
}

func TestCrashAroundGovernance(t *testing.T) {
	var f governLife
	if runs := crashtest.Crashes(t, crashtest.Plan{Stride: crashStride}, crashtest.Program{Run: f.run, Check: f.check}); runs < 5 {
		t.Errorf("only %d crashes: the script hardly syncs", runs)
	}
}

func TestFaultsAroundGovernance(t *testing.T) {
	var f governLife
	if runs := crashtest.Faults(t, crashtest.Plan{Stride: closeFaultStride}, crashtest.Program{Run: f.run, Check: f.check}); runs < 5 {
		t.Errorf("only %d runs: the script hardly touches the disk", runs)
	}
}
