package domains_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// reignKey makes a key of a log from a letter.
func reignKey(t *testing.T, letter, origin string) (note.Signer, string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte(letter), 64)), origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, vkey
}

func bodyOf(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTwoPeopleTurnAKey: an auditor's judge refuses a rotation and a succession that
// the ledger should never have written.
func TestTwoPeopleTurnAKey(t *testing.T) {
	const now = int64(1_783_000_000_000_000_000)
	_, first := reignKey(t, "a", "log.test/1")
	signer, next := reignKey(t, "b", "log.test/1")
	_, other := reignKey(t, "c", "log.test/2")
	j := new(domains.Judge)
	index := uint64(0)
	apply := func(kind daybookv1.Kind, m proto.Message) error {
		err := j.Apply(index, now, kind, bodyOf(t, m))
		if err == nil {
			index++
		}
		return err
	}
	rotation := func(approvals ...uint64) *daybookv1.KeyRotation {
		signed, err := note.Sign(&note.Note{Text: verify.RotationText(first, next)}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return &daybookv1.KeyRotation{Step: daybookv1.KeyStep_KEY_STEP_ROTATED, OldVkey: first, NewVkey: next, Note: signed, Requester: "ops", Approvals: approvals}
	}
	if err := apply(daybookv1.Kind_KIND_KEY_ROTATION, rotation(1)); err == nil {
		t.Error("a rotation before the origin was opened")
	}
	if err := apply(daybookv1.Kind_KIND_ORIGIN_OPENED, &daybookv1.OriginOpened{Origin: "log.test/1", Vkey: first}); err != nil {
		t.Fatal(err)
	}
	approve := func(by, vkey string, with func(*daybookv1.Approval)) uint64 {
		t.Helper()
		sum, err := verify.VKeyFingerprint(vkey)
		if err != nil {
			t.Fatal(err)
		}
		m := &daybookv1.Approval{Id: by, Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_KEY_ROTATION, Sha256: sum[:], Approver: by}
		if with != nil {
			with(m)
		}
		if err := apply(daybookv1.Kind_KIND_APPROVAL, m); err != nil {
			t.Fatal(err)
		}
		return index // its own, plus 1
	}
	bad := map[string]uint64{
		"his own":        approve("ops", next, nil),
		"asked by him":   approve("cco", next, func(m *daybookv1.Approval) { m.Requester = "cco" }),
		"over":           approve("cco", next, func(m *daybookv1.Approval) { m.NotAfterNs = now }),
		"to come":        approve("cco", next, func(m *daybookv1.Approval) { m.NotBeforeNs = now + 1 }),
		"of another key": approve("cco", other, nil),
		"of another act": approve("cco", next, func(m *daybookv1.Approval) { m.Subject = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_SUCCESSION }),
	}
	succession := bad["of another act"]
	bad["revoked"] = approve("cco", next, nil)
	if err := apply(daybookv1.Kind_KIND_REVOCATION, &daybookv1.Revocation{Approval: bad["revoked"], Revoker: "cco"}); err != nil {
		t.Fatal(err)
	}
	bad["no entry"], bad["no approval"] = 99, 1
	var unapproved *domains.UnapprovedError
	for name, approval := range bad {
		err := apply(daybookv1.Kind_KIND_KEY_ROTATION, rotation(approval))
		if err == nil {
			t.Fatalf("a rotation by an approval that is %s", name)
		}
		if name == "his own" && !errors.As(err, &unapproved) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := approve("cco", next, nil)
	if err := apply(daybookv1.Kind_KIND_KEY_ROTATION, rotation(bad["his own"], good)); err != nil {
		t.Fatal(err)
	}
	if j.Keys().Current().VKey != next {
		t.Error("the key did not turn")
	}
	end := &daybookv1.Succession{Origin: "log.test/2", Vkey: other, Requester: "ops", Approvals: []uint64{good}}
	if err := apply(daybookv1.Kind_KIND_SUCCESSION, end); err == nil {
		t.Error("ended by the approval of a rotation")
	}
	end.Approvals = []uint64{succession}
	if err := apply(daybookv1.Kind_KIND_SUCCESSION, end); err == nil {
		t.Error("ended by the approval of another key")
	}
	end.Approvals = []uint64{approve("cco", other, func(m *daybookv1.Approval) { m.Subject = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_SUCCESSION })}
	if err := apply(daybookv1.Kind_KIND_SUCCESSION, end); err != nil || j.Succeeded() == nil {
		t.Errorf("%v", err)
	}
}
