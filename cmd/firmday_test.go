package cmd_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client/synthetic/firm"
	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// firmLog makes the data directory of a log in which the sample firm's day has
// happened, at its date, by a clock of the test's; nothing serves it yet.
func firmLog(t *testing.T, dir string) {
	t.Helper()
	serve(t, dir, append(anyPorts(), "--dev")...).mustStop(t)
	for _, old := range []string{filepath.Join(dir, "store"), dir + ".anchor", dir + ".state"} {
		if err := os.RemoveAll(old); err != nil {
			t.Fatal(err)
		}
	}
	steps := firm.Day(firm.Date)
	clock := ledgertest.NewClock(steps[0].At)
	mem, at := vfs.NewMem(), filepath.Join(dir, "store")
	if err := mem.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, stop := firmLedger(t, dir, mem, clock.Ledger())
	d := &firmDay{t: t, l: l, next: map[string]uint64{}}
	for i := range steps {
		clock.Move(steps[i].At.Sub(clock.Now()))
		d.step(&steps[i])
	}
	end := firm.Date.Add(24 * time.Hour)
	clock.Move(end.Add(time.Second).Sub(clock.Now()))
	deadline := time.Now().Add(patience)
	for {
		closes, err := l.Closes(t.Context(), 0, 1)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the firm's day is not closed: %v", err)
		}
		if len(closes) == 1 && closes[0].Close.PeriodEndNs >= end.UnixNano() {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if ok, err := vfs.Clone(mem, vfs.Default, at, at); err != nil || !ok {
		t.Fatalf("copying the store to the disk: %v", err)
	}
}

// firmLedger makes and opens the log under the keys of a data directory.
func firmLedger(t *testing.T, dir string, fs vfs.FS, clock ledger.Clock) (l *ledger.Ledger, stop func()) {
	t.Helper()
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	signer, err := note.NewSigner(read("log.key"))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := pebblestore.Open(pebblestore.Options{Dir: filepath.Join(dir, "store"), FS: fs, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	vkey, anchor := read("log.vkey"), ledger.FileAnchor(dir+".anchor")
	err = ledger.Create(t.Context(), ledger.CreateConfig{Store: engine, Signer: signer, VKey: vkey, Anchor: anchor, Clock: clock})
	if err == nil {
		l, err = ledger.Open(t.Context(), ledger.Config{Store: engine, Signer: signer, VKey: vkey, Anchor: anchor, Clock: clock})
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return l, func() {
		cancel()
		if err := errors.Join(<-ended, engine.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// A firmDay takes the steps of the firm's day.
type firmDay struct {
	t    *testing.T
	l    *ledger.Ledger
	next map[string]uint64 // number that each producer's run takes next
}

func (d *firmDay) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// append appends one item in the producer's run, which it opens first.
func (d *firmDay) append(id string, item ledger.Item, numbers uint64) {
	d.t.Helper()
	p := ledger.Producer{ID: id, KeyFingerprint: firm.KeyOf(id)}
	run := verify.Hash(sha256.Sum256([]byte("run of " + id)))
	if d.next[id] == 0 {
		_, err := d.l.OpenRun(d.t.Context(), p, &daybookv1.RunOpened{Run: run[:], Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}, nil)
		d.must(err)
		d.next[id] = 1
	}
	_, err := d.l.Append(d.t.Context(), p, ledger.Batch{Run: run, Epoch: 1, First: d.next[id], Items: []ledger.Item{item}})
	d.must(err)
	d.next[id] += numbers
}

func (d *firmDay) step(s *firm.Step) {
	d.t.Helper()
	ctx, person := d.t.Context(), ledger.Person{ID: s.Person, Authentication: "mtls"}
	switch {
	case s.Event != nil:
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(s.Event)
		d.must(err)
		d.append(s.Producer, ledger.Item{Body: body}, 1)
	case s.Lost > 0:
		first := max(d.next[s.Producer], 1)
		body, err := proto.Marshal(&daybookv1.Gap{First: first, Last: first + s.Lost - 1, Reason: "its disk failed"})
		d.must(err)
		d.append(s.Producer, ledger.Item{Kind: daybookv1.Kind_KIND_GAP, Body: body}, s.Lost)
	case s.Approve != nil:
		_, _, err := d.l.Approve(ctx, person, s.Approve)
		d.must(err)
	case s.Revoke != "":
		_, err := d.l.Revoke(ctx, person, s.Revoke, "no longer needed", "")
		d.must(err)
	case s.Propose:
		p, err := d.l.ProposeMap(ctx, person, firm.Map())
		d.must(err)
		for _, who := range []string{firm.CCO, firm.DataOwner} {
			_, _, err := d.l.Approve(ctx, ledger.Person{ID: who, Authentication: "mtls"},
				&daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, Sha256: p.SHA256[:]})
			d.must(err)
		}
	}
}
