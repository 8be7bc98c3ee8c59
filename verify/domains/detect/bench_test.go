package detect_test

import (
	"encoding/binary"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

// BenchmarkTake is the cost of an event: 64 producers in appends of 256, each
// with a credential and a clock, authorized, half of them the second report of
// their crossing.
func BenchmarkTake(b *testing.B) {
	w := newWorld(b)
	w.force(firm())
	flow := w.version.Flow("read")
	var heads [64]verify.BatchHead
	for i := range heads {
		heads[i] = verify.BatchHead{LogTimeNS: w.now, Producer: "spiffe://web/p" + string(rune('A'+i)), Provenance: 1, KeyFingerprint: verify.Hash{byte(i + 1)}}
	}
	var credentials [1024][32]byte
	for i := range credentials {
		binary.BigEndian.PutUint32(credentials[i][:], uint32(i+1))
	}
	var id [24]byte
	ev := verify.EventFields{OccurredAtNS: w.now, SourceDomain: []byte("web"), TargetDomain: []byte("db"), ClockSource: []byte("chrony"),
		UncertaintyNS: 1000, CorrelationID: id[:]}
	place := verify.EntryHead{Kind: daybookv1.Kind_KIND_ACCESS, Source: "web", Target: "db", Verdict: daybookv1.Verdict_VERDICT_AUTHORIZED}
	e := detect.Entry{Place: &place, Event: &ev, Map: w.version, Grounds: domains.Grounds{Flow: flow}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.Head = &heads[i>>8&63]
		ev.Credential = credentials[i*7&1023][:]
		place.Index++
		place.Side = daybookv1.Side(1 + i&1)
		binary.LittleEndian.PutUint64(id[:], uint64(i>>1))
		if err := w.d.Take(&e); err != nil {
			b.Fatal(err)
		}
		if i&0xffff == 0xffff {
			w.d.Saved()
		}
	}
	_ = detect.Version
}
