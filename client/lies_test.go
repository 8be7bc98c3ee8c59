package client_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// bendHead re-writes the first batch head.
func bendHead(change func(*verify.BatchHead)) func(*apiv1.Receipt) {
	return func(r *apiv1.Receipt) {
		h, err := verify.ParseBatchHead(r.Groups[0].BatchHead)
		if err != nil {
			panic(err)
		}
		change(&h)
		r.Groups[0].BatchHead = h.AppendTo(nil)
	}
}

// bendPlace re-writes the second entry head.
func bendPlace(change func(*verify.EntryHead)) func(*apiv1.Receipt) {
	return func(r *apiv1.Receipt) {
		heads := r.Groups[0].EntryHeads
		h, err := verify.ParseEntryHead(heads[1])
		if err != nil {
			panic(err)
		}
		change(&h)
		heads[1] = h.AppendTo(nil)
	}
}

// lies are receipts for an append of four that do not prove it.
func lies(t *testing.T) map[string]func(*apiv1.Receipt) {
	stranger := newMemLog(t, "example.com/log")
	return map[string]func(*apiv1.Receipt){
		"nothing":            func(r *apiv1.Receipt) { r.Groups, r.Checkpoint = nil, nil },
		"no groups":          func(r *apiv1.Receipt) { r.Groups = nil },
		"no checkpoint":      func(r *apiv1.Receipt) { r.Checkpoint = nil },
		"checkpoint damaged": func(r *apiv1.Receipt) { r.Checkpoint[len(r.Checkpoint)-10] ^= 1 },
		"root changed":       func(r *apiv1.Receipt) { r.Checkpoint[30] ^= 1 },
		"another key":        func(r *apiv1.Receipt) { r.Checkpoint = stranger.checkpoint(1) },
		"an entry missing":   func(r *apiv1.Receipt) { r.Groups[0].EntryHeads = r.Groups[0].EntryHeads[:3] },
		"an entry too many": func(r *apiv1.Receipt) {
			r.Groups[0].EntryHeads = append(r.Groups[0].EntryHeads, r.Groups[0].EntryHeads[3])
		},
		"an empty group": func(r *apiv1.Receipt) {
			r.Groups = append(r.Groups, &apiv1.ReceiptGroup{BatchHead: r.Groups[0].BatchHead})
		},
		"two exchanged":        func(r *apiv1.Receipt) { h := r.Groups[0].EntryHeads; h[0], h[1] = h[1], h[0] },
		"index moved":          func(r *apiv1.Receipt) { r.Groups[0].FirstIndex++ },
		"proof damaged":        func(r *apiv1.Receipt) { r.Groups[0].Proof[0] ^= 1 },
		"proof cut":            func(r *apiv1.Receipt) { r.Groups[0].Proof = r.Groups[0].Proof[:len(r.Groups[0].Proof)-32] },
		"proof of half hashes": func(r *apiv1.Receipt) { r.Groups[0].Proof = r.Groups[0].Proof[:33] },
		"proof too long":       func(r *apiv1.Receipt) { r.Groups[0].Proof = bytes.Repeat(r.Groups[0].Proof[:32], 129) },
		"head damaged":         func(r *apiv1.Receipt) { r.Groups[0].BatchHead[0] ^= 0x40 },
		"head absent":          func(r *apiv1.Receipt) { r.Groups[0].BatchHead = nil },
		"place damaged":        func(r *apiv1.Receipt) { r.Groups[0].EntryHeads[0] = []byte{0xff} },
		"another producer":     bendHead(func(h *verify.BatchHead) { h.Producer = "spiffe://example.com/other" }),
		"another run":          bendHead(func(h *verify.BatchHead) { h.Run[5] ^= 1 }),
		"a later epoch":        bendHead(func(h *verify.BatchHead) { h.Epoch++ }),
		"another provenance":   bendHead(func(h *verify.BatchHead) { h.Provenance = daybookv1.Provenance_PROVENANCE_BACKFILL }),
		"another time":         bendHead(func(h *verify.BatchHead) { h.LogTimeNS++ }),
		"another number":       bendPlace(func(h *verify.EntryHead) { h.Number++ }),
		"another index":        bendPlace(func(h *verify.EntryHead) { h.Index++ }),
		"another kind":         bendPlace(func(h *verify.EntryHead) { h.Kind = daybookv1.Kind_KIND_DECLINED }),
		"another verdict":      bendPlace(func(h *verify.EntryHead) { h.Verdict = daybookv1.Verdict_VERDICT_DENIED }),
	}
}

// TestNoLieIsReturned: whatever an answer claims, a receipt that does not prove
// the append is an error, of a unary call as of a stream.
func TestNoLieIsReturned(t *testing.T) {
	for name, lie := range lies(t) {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			run := openRun(t, l.dial(t, nil))
			_, err := run.Append(t.Context(), events(t, 0, 3)...)
			must(t, err)
			l.set(func(l *liar) { l.bend = lie })
			r, err := run.Append(t.Context(), events(t, 3, 4)...)
			var bad *client.ReceiptError
			if !errors.As(err, &bad) || r != nil {
				t.Errorf("append: receipt %v, error %v, want a *ReceiptError", r, err)
			} else if bad.First != 4 {
				t.Errorf("the error is about number %d, want 4", bad.First)
			}
			seen := 0
			err = run.Stream(t.Context(), client.StreamOptions{OnReceipt: func(*client.Receipt) { seen++ }}, func(ctx context.Context, s *client.Stream) error {
				_, err := s.Submit(ctx, events(t, 7, 4)...)
				return err
			})
			if !errors.As(err, &bad) || seen > 0 {
				t.Errorf("stream: %d receipts, error %v, want a *ReceiptError", seen, err)
			}
		})
	}
}

// TestAnotherEventsReceipt: an honest receipt of other bytes.
func TestAnotherEventsReceipt(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	l.before = func(_ int, r *apiv1.AppendRequest) error {
		r.Items[0].Body = event(t, "not what was sent")
		return nil
	}
	if r, err := run.Append(t.Context(), events(t, 0, 1)...); err == nil {
		t.Errorf("receipt for index %d of an event that was exchanged", r.Index(0))
	}
}

// TestAnswerToAnotherBatch: receipts of a stream come in the order sent.
func TestAnswerToAnotherBatch(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, nil))
	l.before = func(_ int, r *apiv1.AppendRequest) error {
		r.FirstNumber = 2
		return nil
	}
	l.set(func(l *liar) { l.log.runs[run.ID()].next = 2 })
	err := run.Stream(t.Context(), client.StreamOptions{}, submitAll(t, 1))
	if bad := new(client.ReceiptError); !errors.As(err, &bad) {
		t.Errorf("error %v, want a *ReceiptError", err)
	}
}

// TestLiesAtOpen: the state that the ledger names is not believed where we know
// better: we would sign it.
func TestLiesAtOpen(t *testing.T) {
	for name, lie := range map[string]func(*apiv1.RunState, *apiv1.Receipt, *[]byte, *[]byte){
		"hash":        func(s *apiv1.RunState, _ *apiv1.Receipt, _, _ *[]byte) { s.Hash[3] ^= 1 },
		"short hash":  func(s *apiv1.RunState, _ *apiv1.Receipt, _, _ *[]byte) { s.Hash = s.Hash[:31] },
		"no number":   func(s *apiv1.RunState, _ *apiv1.Receipt, _, _ *[]byte) { s.NextNumber = 0 },
		"no epoch":    func(s *apiv1.RunState, _ *apiv1.Receipt, _, _ *[]byte) { s.Epoch = 0 },
		"body":        func(_ *apiv1.RunState, _ *apiv1.Receipt, body, _ *[]byte) { (*body)[10] ^= 1 },
		"no body":     func(_ *apiv1.RunState, _ *apiv1.Receipt, body, _ *[]byte) { *body = nil },
		"proof":       func(_ *apiv1.RunState, r *apiv1.Receipt, _, _ *[]byte) { r.Groups[0].Proof = nil },
		"no receipt":  func(_ *apiv1.RunState, r *apiv1.Receipt, _, _ *[]byte) { r.Groups = nil },
		"unsigned":    func(_ *apiv1.RunState, r *apiv1.Receipt, _, _ *[]byte) { r.Checkpoint = []byte("a\n1\nb\n") },
		"another run": bendOpened,
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			l.bendRun = lie
			if _, err := l.dial(t, nil).OpenRun(t.Context(), client.RunOptions{Provenance: 1}); err == nil {
				t.Error("the run was opened")
			}
		})
	}
}

func bendOpened(_ *apiv1.RunState, r *apiv1.Receipt, _, _ *[]byte) {
	bendHead(func(h *verify.BatchHead) { h.Run[0] ^= 1 })(r)
}

// TestLiesAboutRuns: receipts of heartbeats, ends and one-offs are checked too.
func TestLiesAboutRuns(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, nil)
	run := openRun(t, c)
	l.set(func(l *liar) { l.bend = func(r *apiv1.Receipt) { r.Groups[0].FirstIndex++ } })
	for _, name := range []string{"heartbeat", "end", "one-off"} {
		var r *client.Receipt
		var err error
		switch name {
		case "heartbeat":
			r, err = run.Heartbeat(t.Context())
		case "end":
			r, err = run.End(t.Context(), "")
		default:
			r, err = c.AppendOneOff(t.Context(), events(t, 0, 1)[0])
		}
		if bad := new(client.ReceiptError); !errors.As(err, &bad) || r != nil {
			t.Errorf("%s: receipt %v, error %v, want a *ReceiptError", name, r, err)
		}
	}
}

// TestUncheckedReceiptsProveNothing: with CheckEvery the receipts between are
// not checked, and nothing can be taken from them.
func TestUncheckedReceiptsProveNothing(t *testing.T) {
	l := newLiar(t)
	run := openRun(t, l.dial(t, func(c *client.Config) { c.CheckEvery = 4 }))
	checked := 0
	for i := range 8 {
		r, err := run.Append(t.Context(), events(t, i, 1)...)
		must(t, err)
		if r.Checked() {
			checked++
			checkOffline(t, l, r)
		} else if err := r.WriteFiles(t.TempDir(), 0); !errors.Is(err, client.ErrUnchecked) {
			t.Errorf("receipt files of an unchecked receipt: %v", err)
		}
	}
	if checked != 2 {
		t.Errorf("%d of 8 receipts checked, want 2", checked)
	}
	_, err := run.End(t.Context(), "")
	must(t, err)
}
