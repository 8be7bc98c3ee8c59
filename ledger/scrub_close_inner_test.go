package ledger

import (
	"bytes"
	"fmt"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// storedClose makes the stored tables of a close of so many streams and runs.
func storedClose(t *testing.T, streams, runs int) (c *daybookv1.Close, keys, values [][]byte) {
	t.Helper()
	tb := &tables{close: &daybookv1.Close{PeriodStartNs: 5, PeriodEndNs: 9, Cut: 77, Root: make([]byte, 32)}}
	for i := range streams {
		st := &stream{count: 1}
		st.frontier.Append(verify.HashLeaf(fmt.Appendf(nil, "%d", i)))
		tb.streams = append(tb.streams, streamLine{key: fmt.Appendf(nil, "stream %06d", i), stream: st})
	}
	for i := range runs {
		tb.runs = append(tb.runs, verify.Row{Key: fmt.Appendf(nil, "run %06d", i), Count: uint64(i), Root: verify.HashLeaf(nil)})
	}
	for k, v := range tb.pages() {
		keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(v))
	}
	if tb.err != nil {
		t.Fatal(tb.err)
	}
	tb.close.PreviousClose = 3 // the entry has it, the draft has not
	return tb.close, keys, values
}

func checkStored(c *daybookv1.Close, keys, values [][]byte) error {
	k := newCloseCheck(c)
	for i := range keys {
		if err := k.take(keys[i], values[i]); err != nil {
			return err
		}
	}
	return k.finish()
}

// TestStoredCloseIsCompared removes, repeats and alters each part of stored
// tables of several sizes: each is found.
func TestStoredCloseIsCompared(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 600} {
		c, keys, values := storedClose(t, n, 600-n)
		if err := checkStored(c, keys, values); err != nil {
			t.Fatalf("%d streams: %v", n, err)
		}
		for i := range keys {
			without := func(list [][]byte) [][]byte { return append(append([][]byte(nil), list[:i]...), list[i+1:]...) }
			if checkStored(c, without(keys), without(values)) == nil {
				t.Errorf("%d streams: no one misses %x", n, keys[i])
			}
			for at := 0; at < len(values[i]); at += 1 + len(values[i])/50 {
				values[i][at] ^= 4
				if checkStored(c, keys, values) == nil {
					t.Errorf("%d streams: byte %d of %x may be flipped", n, at, keys[i])
				}
				values[i][at] ^= 4
			}
			whole := values[i]
			for _, other := range [][]byte{nil, whole[:len(whole)/2], append(bytes.Clone(whole), whole...)} {
				if values[i] = other; checkStored(c, keys, values) == nil {
					t.Errorf("%d streams: %x may have %d bytes", n, keys[i], len(other))
				}
			}
			values[i] = whole
		}
		for _, strange := range [][]byte{closeKey(9, partDraft, 1), closeKey(9, partDraft+1, 0), append(closeKey(9, partDraft, 0), 0)} {
			if checkStored(c, append(keys[:len(keys):len(keys)], strange), append(values[:len(values):len(values)], nil)) == nil {
				t.Errorf("%d streams: %x may be there", n, strange)
			}
		}
	}
}
