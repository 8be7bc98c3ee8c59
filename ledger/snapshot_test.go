package ledger

import (
	"bytes"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
)

// FuzzParseRun: whatever parses is written back byte for byte.
func FuzzParseRun(f *testing.F) {
	r := &run{producer: "spiffe://web/gateway", id: verify.Hash{1}, provenance: 3, epoch: 2, last: 9, opened: 4, previous: 17, spki: []byte("spki")}
	f.Add(r.row())
	r.time, r.silence, r.alerted = 5, 6, 7
	r.told = &told{declined: 1, gaps: 2, lost: 3, signed: statement{at: 4, last: 5, key: verify.Hash{6}}}
	f.Add(r.row())
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRun(b)
		if err != nil {
			return
		}
		if got := r.row(); !bytes.Equal(got, b) && b[65] <= 1 {
			t.Errorf("row %x became %x", b, got)
		}
	})
}

func FuzzParseCommitRow(f *testing.F) {
	f.Add(make([]byte, 48))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseCommitRow(7, b)
		if err == nil && !bytes.Equal(commitRow(h), b) {
			t.Errorf("row %x became %x", b, commitRow(h))
		}
	})
}

// FuzzParsePassRow: whatever parses is written back byte for byte.
func FuzzParsePassRow(f *testing.F) {
	f.Add((&passRow{}).bytes())
	r := &passRow{begin: 1, target: 9, position: 3, size: 10, faults: 1, bad: badPlace{'t', 5, "tile"}, front: []byte("front"),
		time: -2, covered: 2, term: 7, last: passResult{1, 2, 3, 4}, standing: badPlace{'f', 6, "frame"}, alerts: []alertMark{{verify.Hash{1}, 8}}}
	r.levels[2] = []verify.Hash{{1}, {2}}
	f.Add(r.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parsePassRow(b)
		if err == nil && !bytes.Equal(r.bytes(), b) {
			t.Errorf("row %x became %x", b, r.bytes())
		}
	})
}
