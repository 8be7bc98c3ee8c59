package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
)

// storeCollector shows the store's figures; they are read when scraped.
type storeCollector struct{ store *pebblestore.Store }

// storeFigure is one figure of the store.
type storeFigure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(pebblestore.Metrics) float64
}

func figure(name, help string, kind prometheus.ValueType, value func(pebblestore.Metrics) float64) storeFigure {
	return storeFigure{prometheus.NewDesc("daybook_store_"+name, help, nil, nil), kind, value}
}

var (
	fsyncDesc    = prometheus.NewDesc("daybook_store_fsync_seconds", "Time of an fsync of the write-ahead log.", nil, nil)
	storeFigures = []storeFigure{
		figure("wal_bytes", "Bytes of the write-ahead log that are not yet in tables.", prometheus.GaugeValue, func(m pebblestore.Metrics) float64 { return float64(m.WALBytes) }),
		figure("wal_written_bytes_total", "Bytes written to the write-ahead log.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.WALWritten) }),
		figure("tables_written_bytes_total", "Bytes written by flushes, compactions and loads.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.TableWritten) }),
		figure("compactions_total", "Compactions.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.Compactions) }),
		figure("compaction_debt_bytes", "Bytes that compactions still have to write.", prometheus.GaugeValue, func(m pebblestore.Metrics) float64 { return float64(m.Debt) }),
		figure("write_stalls_total", "Times writes had to wait for a flush or compaction.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.WriteStalls) }),
		figure("read_amplification", "Files that a read may have to look into.", prometheus.GaugeValue, func(m pebblestore.Metrics) float64 { return float64(m.ReadAmp) }),
		figure("memtable_bytes", "Bytes of memtables.", prometheus.GaugeValue, func(m pebblestore.Metrics) float64 { return float64(m.MemTables) }),
		figure("cache_bytes", "Bytes in the block cache.", prometheus.GaugeValue, func(m pebblestore.Metrics) float64 { return float64(m.CacheBytes) }),
	}
)

// Describe implements prometheus.Collector.
func (c storeCollector) Describe(out chan<- *prometheus.Desc) {
	out <- fsyncDesc
	for _, f := range storeFigures {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector. A store that is closed shows nothing.
func (c storeCollector) Collect(out chan<- prometheus.Metric) {
	m, err := c.store.Metrics()
	if err != nil {
		return
	}
	out <- prometheus.MustNewConstHistogram(fsyncDesc, m.Fsync.Count, m.Fsync.Sum, m.Fsync.Buckets)
	for _, f := range storeFigures {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(m))
	}
}
