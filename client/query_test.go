package client_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func TestQueriesAreChecked(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 12)
	c := l.dial(t, nil)
	policy, err := verify.KeyPolicy(l.log.vkey)
	must(t, err)
	for index := range uint64(l.size()) {
		e, err := c.Entry(t.Context(), index)
		must(t, err)
		proof, entry := e.Files()
		if _, err := verify.CheckReceipt(policy, proof, entry); err != nil && index > 0 { // entry 0 of a memLog has no real body
			t.Errorf("entry %d: %v", index, err)
		}
	}
	if _, err := c.Entry(t.Context(), 10_000); err == nil {
		t.Error("got an entry beyond the end")
	}
	found, err := c.Event(t.Context(), "e7")
	must(t, err)
	if len(found) != 1 || found[0].Index != 9 {
		t.Errorf("event e7: %d entries", len(found))
	}
	files, err := c.Receipts(t.Context(), 3, 5, 4)
	must(t, err)
	if len(files) != 3 || files[1].Index != 5 {
		t.Errorf("receipts %v", files)
	}
	past, err := c.Checkpoint(t.Context(), 4)
	must(t, err)
	if past.Size != 4 {
		t.Errorf("checkpoint of size %d, want 4", past.Size)
	}
}

func TestListPages(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 12)
	c := l.dial(t, nil)
	for _, limit := range []int{1, 5, 6, 13, 1000} {
		var got []uint64
		size, err := c.List(t.Context(), &apiv1.ListEntriesRequest{PageSize: 5}, limit, func(e *apiv1.EntryView) bool {
			got = append(got, e.Index)
			return true
		})
		must(t, err)
		want := make([]uint64, min(limit, l.size()))
		for i := range want {
			want[i] = uint64(i)
		}
		if diff := cmp.Diff(want, got); diff != "" || size != uint64(l.size()) {
			t.Errorf("limit %d: size %d (-want +got):\n%s", limit, size, diff)
		}
	}
	seen := 0
	_, err := c.List(t.Context(), &apiv1.ListEntriesRequest{PageSize: 5}, 0, func(*apiv1.EntryView) bool { seen++; return seen < 7 })
	must(t, err)
	if seen != 7 {
		t.Errorf("visited %d entries, want 7", seen)
	}
}

func TestLiesInQueries(t *testing.T) {
	for name, lie := range map[string]func(*apiv1.GetEntryResponse){
		"bytes":       func(a *apiv1.GetEntryResponse) { a.Entry.Entry = append([]byte{0}, a.Entry.Entry...) },
		"index":       func(a *apiv1.GetEntryResponse) { a.Entry.Index++ },
		"proof":       func(a *apiv1.GetEntryResponse) { a.Proof[0] ^= 1 },
		"half proof":  func(a *apiv1.GetEntryResponse) { a.Proof = a.Proof[:31] },
		"no entry":    func(a *apiv1.GetEntryResponse) { a.Entry = nil },
		"checkpoint":  func(a *apiv1.GetEntryResponse) { a.Checkpoint[30] ^= 1 },
		"nothing":     func(a *apiv1.GetEntryResponse) { *a = apiv1.GetEntryResponse{} },
		"other entry": nil,
	} {
		l := newLiar(t)
		l.grow(t, 5)
		if lie == nil {
			lie = func(a *apiv1.GetEntryResponse) {
				l.bendEntry = nil
				other, err := l.entry(4)
				must(t, err)
				a.Entry, a.Proof = other.Entry, other.Proof
			}
		}
		l.bendEntry = lie
		if _, err := l.dial(t, nil).Entry(t.Context(), 3); err == nil {
			t.Errorf("%s: an entry was returned", name)
		}
	}
}

func TestLiesInReceiptFiles(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 5)
	c := l.dial(t, nil)
	for name, lie := range map[string]func(*apiv1.ReceiptFile){
		"index": func(f *apiv1.ReceiptFile) { f.Index++ },
		"entry": func(f *apiv1.ReceiptFile) { f.Entry = l.log.entries[4] },
		"proof": func(f *apiv1.ReceiptFile) { f.Proof = f.Proof[:len(f.Proof)-1] },
	} {
		l.set(func(l *liar) { l.bendFile = lie })
		if _, err := c.Receipts(t.Context(), 3); err == nil {
			t.Errorf("%s: a receipt was returned", name)
		}
	}
}

// TestReadOnlyClient: a client without an ingest address reads.
func TestReadOnlyClient(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, func(c *client.Config) { c.Query, c.Addresses, c.State = l.listener.Addr().String(), "", "" })
	_, err := c.Entry(t.Context(), 0)
	must(t, err)
	if _, err := c.OpenRun(t.Context(), client.RunOptions{Provenance: 1}); err == nil {
		t.Error("opened a run without an ingest address")
	}
}
