package ledger

import (
	"bytes"
	"fmt"
	"iter"
	"path/filepath"
	"testing"

	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/verify"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// FuzzParseOneOffs: whatever parses is written back byte for byte.
func FuzzParseOneOffs(f *testing.F) {
	f.Add((&oneOffs{producer: "spiffe://web/gateway", count: 3, hash: verify.Hash{1}, previous: 9}).row())
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := parseOneOffs(b)
		if err == nil && !bytes.Equal(o.row(), b) {
			t.Errorf("row %x became %x", b, o.row())
		}
	})
}

// manyStreams returns a replay of n entries in n streams, as if they were
// applied.
func manyStreams(n int) *replay {
	p := newReplay(newState(nil))
	p.closing = newClosing()
	p.closing.begin(0, 0)
	for i := range n {
		key := verify.MakeStreamKey(daybookv1.Kind_KIND_ACCESS, fmt.Sprintf("source-%d", i%317), fmt.Sprintf("target-%d", i/317), daybookv1.Side_SIDE_SOURCE, false)
		st := p.state.streams[key]
		if st == nil {
			st = new(stream)
			p.state.streams[key] = st
			p.closing.fresh = append(p.closing.fresh, streamLine{key: []byte(key), stream: st})
		}
		leaf := verify.HashLeaf([]byte(key))
		for range 1 + i%5 {
			st.count++
			st.frontier.Append(leaf)
			p.frontier.Append(leaf)
		}
	}
	return p
}

// BenchmarkCloseStored is the close of BenchmarkClose with its tables written,
// synced, to the embedded engine: what the follower does.
func BenchmarkCloseStored(b *testing.B) {
	engine, err := pebblestore.Open(pebblestore.Options{Dir: filepath.Join(b.TempDir(), "store"), Fatal: func(reason string) { panic(reason) }})
	if err != nil {
		b.Fatal(err)
	}
	const n = 100_000
	p := manyStreams(n)
	p.closing.store = func(_ int64, pages iter.Seq2[[]byte, []byte]) error { return engine.Load(pages) }
	end := int64(0)
	for b.Loop() {
		end += verify.Day
		p.closing.drafts = nil
		if err := p.closing.compute(p, end, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/stream")
	if err := engine.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkClose makes the tables of a close over 100,000 streams: the first
// close, which sorts them; one after every stream had an entry; one after a
// hundredth of them had.
func BenchmarkClose(b *testing.B) {
	const n = 100_000
	for _, c := range []struct {
		name  string
		touch int // every so many streams have one more entry
	}{{"first", 0}, {"all-touched", 1}, {"hundredth-touched", 100}} {
		b.Run(c.name, func(b *testing.B) {
			p := manyStreams(n)
			end := int64(0)
			for b.Loop() {
				b.StopTimer()
				if c.touch == 0 {
					p = manyStreams(n)
				} else {
					for i := 0; i < len(p.closing.sorted); i += c.touch {
						st := p.closing.sorted[i].stream
						st.count++
						st.frontier.Append(verify.Hash{1})
					}
				}
				p.closing.drafts = nil
				b.StartTimer()
				end += verify.Day
				if err := p.closing.compute(p, end, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/stream")
		})
	}
}
