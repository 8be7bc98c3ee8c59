package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// disk says how the disk stands.
func (s *admin) disk(d ledger.DiskStatus) *apiv1.DiskStatus {
	out := &apiv1.DiskStatus{
		FreeBytes: d.Free, TotalBytes: d.Total, LowBytes: d.Mark, Low: d.Low, InFlightNs: uint64(d.InFlight),
		Stalls: d.Stalls, ReadErrors: d.ReadErrors, IndexWaits: d.IndexWaits,
	}
	if s.ballast != nil {
		out.BallastBytes = uint64(s.ballast())
	}
	return out
}

// watchDisk registers what is known of the disk, read when scraped.
func (m *Metrics) watchDisk(status func() ledger.DiskStatus) {
	gauge := func(name, help string, value func(ledger.DiskStatus) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return value(status()) }))
	}
	counter := func(name, help string, value func(ledger.DiskStatus) float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return value(status()) }))
	}
	gauge("daybook_disk_free_bytes", "Bytes that are free on the store's file system; 0: not known.", func(d ledger.DiskStatus) float64 { return float64(d.Free) })
	gauge("daybook_disk_low_mark_bytes", "Appends stop below so many free bytes; 0: never.", func(d ledger.DiskStatus) float64 { return float64(d.Mark) })
	gauge("daybook_disk_low", "1 while appends are refused because the disk is low.", func(d ledger.DiskStatus) float64 { return truth(d.Low) })
	gauge("daybook_commit_in_flight_seconds", "Age of the oldest commit that is not durable.", func(d ledger.DiskStatus) float64 { return d.InFlight.Seconds() })
	counter("daybook_commit_stalls_total", "Times a commit took over 5 s.", func(d ledger.DiskStatus) float64 { return float64(d.Stalls) })
	counter("daybook_read_errors_total", "Reads that the disk failed.", func(d ledger.DiskStatus) float64 { return float64(d.ReadErrors) })
	gauge("daybook_index_waits", "1 while the disk has no room for the index.", func(d ledger.DiskStatus) float64 { return truth(d.IndexWaits) })
}
