package index_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A traffic draws entries as a broker's gateways see them: two or three reports
// of a crossing, a few hundred pairs, thousands of actors and resources of which
// few are common, batches of 100 of one producer.
type traffic struct {
	r                    *rand.Rand
	actor, resource, op  *rand.Zipf
	ticket, source, dest *rand.Zipf
	head                 verify.BatchHead
	n                    int
	trace                [28]byte
	buf                  []byte
}

func newTraffic(seed uint64) *traffic {
	r := rand.New(rand.NewPCG(seed, 550))
	return &traffic{r: r,
		actor: rand.NewZipf(r, 1.1, 20, 20000), resource: rand.NewZipf(r, 1.05, 50, 60000), op: rand.NewZipf(r, 1.2, 3, 300),
		ticket: rand.NewZipf(r, 1.01, 100, 30000), source: rand.NewZipf(r, 1.1, 4, 60), dest: rand.NewZipf(r, 1.2, 2, 40)}
}

// text returns formatted bytes that are valid until the next entry.
func (g *traffic) text(format string, n uint64) []byte {
	at := len(g.buf)
	g.buf = fmt.Appendf(g.buf, format, n)
	return g.buf[at:len(g.buf):len(g.buf)]
}

func (g *traffic) next() (e verify.Entry, ev verify.EventFields) {
	g.buf = slices.Grow(g.buf[:0], 360)
	if g.n%100 == 0 {
		p := g.r.IntN(8)
		g.head = verify.BatchHead{Producer: fmt.Sprintf("spiffe://domain-%d.broker.example/gateway", p), Run: sha256.Sum256([]byte{byte(p)})}
	}
	at := 1761955200e9 + int64(g.n)*30e6 // 33 a second: a month is some 86 million
	g.head.LogTimeNS = at
	g.n++
	actor := g.actor.Uint64()
	e.Head = g.head
	e.Place = verify.EntryHead{Kind: daybookv1.Kind_KIND_ACCESS, Source: string(g.text("domain-%d", g.source.Uint64())), Target: string(g.text("target-%d", g.dest.Uint64())),
		Verdict: daybookv1.Verdict_VERDICT_AUTHORIZED}
	if g.r.IntN(40) == 0 {
		e.Place.Verdict = daybookv1.Verdict(1 + g.r.IntN(13))
	}
	if g.n%5 < 2 || g.n%5 == 4 {
		binary.BigEndian.PutUint64(g.trace[:], g.r.Uint64())
	}
	var credential verify.Hash
	binary.BigEndian.PutUint64(credential[:], actor*0x9e3779b97f4a7c15+1)
	id := make([]byte, 16)
	binary.BigEndian.PutUint64(id, uint64(at/1e6)<<16|uint64(g.r.IntN(1<<16)))
	binary.BigEndian.PutUint64(id[8:], g.r.Uint64())
	op := g.op.Uint64()
	ev = verify.EventFields{EventID: id, OccurredAtNS: at - g.r.Int64N(2e9), ActorID: g.text("arn:aws:iam::100000000000:user/user-%05d", actor),
		Credential: credential[:], Operation: g.text("Operation%d", op), ActionClass: daybookv1.ActionClass(1 + op%6), CorrelationID: g.trace[:],
		Resource: g.text("arn:aws:s3:::evidence/object-%08d", g.resource.Uint64()), Decision: 1, Outcome: 1, SourceProof: 1,
		Purpose: []byte("settlement")}
	if g.r.IntN(3) == 0 {
		ev.Ticket, ev.Approver = g.text("CHG-%06d", g.ticket.Uint64()), g.text("approver-%d@broker.example", g.ticket.Uint64()%50)
	}
	if g.r.IntN(30) == 0 {
		ev.Decision, ev.Outcome, e.Place.Verdict = 2, 2, daybookv1.Verdict_VERDICT_DENIED
	}
	if g.r.IntN(10) == 0 {
		ev.SourceProof = daybookv1.SourceProof(1 + g.r.IntN(5))
	}
	return e, ev
}

// indexBytes measures the rows of the index per entry in tables, and the part of
// the dictionary.
func indexBytes(b *testing.B, e store.Engine, entries uint64) (all, dictionary float64) {
	lo, hi := store.Index.Range()
	if err := e.Scan(lo, hi, func(k, v []byte) error {
		n := float64(len(k)+len(v)) / float64(entries)
		all += n
		if k[1] == 0xff {
			dictionary += n
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return all, dictionary
}

// BenchmarkAdd adds entries and writes their chunks. The follower hands over
// what it has just hashed, so the entries are few enough to stay in a cache; ids
// differ.
func BenchmarkAdd(b *testing.B) {
	g := newTraffic(1)
	entries := make([]verify.Entry, 4096)
	events := make([]verify.EventFields, len(entries))
	for i := range entries {
		g.buf = nil
		entries[i], events[i] = g.next()
		events[i].CorrelationID = slices.Clone(events[i].CorrelationID)
	}
	e := openStore(b, vfs.NewMem())
	x := openIndex(b, e)
	b.ReportAllocs()
	var tables time.Duration
	i := uint64(0)
	for b.Loop() {
		from := time.Now()
		ev := &events[i%uint64(len(events))]
		binary.BigEndian.PutUint64(ev.EventID[8:], i)
		binary.BigEndian.PutUint64(ev.CorrelationID, i/2)
		if err := x.Add(i, &entries[i%uint64(len(events))], ev); err != nil {
			b.Fatal(err)
		}
		if i++; i%index.ChunkLen == 0 {
			tables += time.Since(from)
		}
	}
	if n := x.Position(); n > 0 {
		all, dictionary := indexBytes(b, e, n)
		b.ReportMetric(all, "index-bytes/entry")
		b.ReportMetric(dictionary, "dictionary-bytes/entry")
		b.ReportMetric(float64(tables.Nanoseconds())/float64(n), "table-ns/entry")
	}
}

// searched is the size of the index that is searched: DAYBOOK_INDEX_ENTRIES, or
// what takes some seconds.
func searched(b *testing.B) int {
	text := os.Getenv("DAYBOOK_INDEX_ENTRIES")
	if text == "" {
		return 300_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		b.Fatalf("DAYBOOK_INDEX_ENTRIES=%q is no number of entries", text)
	}
	return n
}

// BenchmarkSearch asks the questions of a log of many entries. With
// DAYBOOK_INDEX_ENTRIES=10000000 it is as large as the goals are for.
func BenchmarkSearch(b *testing.B) {
	n := searched(b)
	e := openStore(b, vfs.NewMem())
	x := openIndex(b, e)
	g := newTraffic(2)
	var samples []verify.Entry
	var sampled []verify.EventFields
	for i := range n {
		entry, ev := g.next()
		if i%(n/200) == 0 {
			ev.ActorID, ev.CorrelationID = slices.Clone(ev.ActorID), slices.Clone(ev.CorrelationID)
			ev.Resource = slices.Clone(ev.Resource)
			samples, sampled = append(samples, entry), append(sampled, ev)
		}
		if err := x.Add(uint64(i), &entry, &ev); err != nil {
			b.Fatal(err)
		}
	}
	from := time.Now()
	if err := x.Merge(b.Context()); err != nil {
		b.Fatal(err)
	}
	all, dictionary := indexBytes(b, e, max(1, x.Position()))
	b.Logf("%d entries: %.1f bytes an entry, of which %.1f dictionary; merged in %v", n, all, dictionary, time.Since(from))
	value := func(f index.Field, v []byte) index.Match { return index.Match{Field: f, Value: v} }
	ask := func(name string, limit int, query func(e *verify.Entry, ev *verify.EventFields) index.Query) {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			hits := 0
			for i := 0; b.Loop(); i++ {
				q := query(&samples[i%len(samples)], &sampled[i%len(samples)])
				from, left := time.Now(), limit
				if err := x.Search(b.Context(), q, 0, x.Size(), true, func(uint64) bool { hits++; left--; return left > 0 }); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(from))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
			b.ReportMetric(float64(hits)/float64(len(took)), "candidates")
		})
	}
	ask("newest 100 of a pair", 100, func(e *verify.Entry, _ *verify.EventFields) index.Query {
		return index.Query{Matches: []index.Match{value(index.Source, []byte(e.Place.Source)), value(index.Target, []byte(e.Place.Target))}}
	})
	ask("one actor in a month", 1000, func(_ *verify.Entry, ev *verify.EventFields) index.Query {
		return index.Query{Matches: []index.Match{value(index.Actor, ev.ActorID)}, OccurredFrom: ev.OccurredAtNS - 15*86400e9, OccurredUntil: ev.OccurredAtNS + 15*86400e9}
	})
	ask("one correlation id", 1000, func(_ *verify.Entry, ev *verify.EventFields) index.Query {
		return index.Query{Matches: []index.Match{value(index.Correlation, ev.CorrelationID)}}
	})
	ask("rare and common", 100, func(_ *verify.Entry, ev *verify.EventFields) index.Query {
		return index.Query{Matches: []index.Match{{Field: index.Decision, Number: 2}, value(index.Resource, ev.Resource)}}
	})
	ask("rare prefix", 100, func(_ *verify.Entry, ev *verify.EventFields) index.Query {
		return index.Query{Matches: []index.Match{{Field: index.Actor, Value: ev.ActorID[:len(ev.ActorID)-1], Prefix: true}}}
	})
	ask("denied, newest 100", 100, func(*verify.Entry, *verify.EventFields) index.Query {
		return index.Query{Matches: []index.Match{{Field: index.Decision, Number: 2}}}
	})
}
