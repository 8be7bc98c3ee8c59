package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// watchVerification registers what is read of the background verification when
// scraped.
func (m *Metrics) watchVerification(v func() ledger.Verification) {
	gauge := func(name, help string, value func(ledger.Verification) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return value(v()) }))
	}
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "daybook_integrity_faults_total", Help: "Faults that the background verification found since the start.",
	}, func() float64 { return float64(v().Faults) }))
	gauge("daybook_integrity_first_bad_index", "First bad index that is known; -1: nothing is known to be wrong.",
		func(v ledger.Verification) float64 {
			if v.Bad == "" {
				return -1
			}
			return float64(v.BadIndex)
		})
	gauge("daybook_verification_position_entries", "Entries checked by the pass under way.",
		func(v ledger.Verification) float64 { return float64(v.Position) })
	gauge("daybook_verification_target_entries", "Entries that the pass under way checks; 0: none is under way.",
		func(v ledger.Verification) float64 { return float64(v.Target) })
	gauge("daybook_verification_period_seconds", "Within what time the whole log is verified again; 0: never.",
		func(v ledger.Verification) float64 { return v.Period.Seconds() })
	gauge("daybook_verification_last_end_timestamp_seconds", "When the last pass ended; 0: none has.",
		func(v ledger.Verification) float64 { return float64(v.LastEndNS) / 1e9 })
}

// verification converts how the background verification stands.
func verification(v ledger.Verification) *apiv1.Verification {
	m := &apiv1.Verification{
		Position: v.Position, Target: v.Target, BeginTime: timeOf(v.BeganNS), ExpectedEndTime: timeOf(v.EndsNS), NextTime: timeOf(v.NextNS),
		LastEndTime: timeOf(v.LastEndNS), LastEntries: v.LastEntries, LastFaults: v.LastFaults, Fault: v.Bad, FirstBadIndex: v.BadIndex,
	}
	if v.Period > 0 {
		m.Period = durationpb.New(v.Period)
	}
	return m
}

// timeOf is nil for 0.
func timeOf(ns int64) *timestamppb.Timestamp {
	if ns == 0 {
		return nil
	}
	return timestamppb.New(time.Unix(0, ns))
}
