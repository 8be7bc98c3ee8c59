package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
)

// storeCollector shows the store's figures; they are read when scraped.
type storeCollector struct {
	store   *pebblestore.Store
	ballast *pebblestore.Ballast
}

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
	ballastDesc  = prometheus.NewDesc("daybook_ballast_bytes", "Bytes of the ballast file; 0: it is dropped, or there is none.", nil, nil)
	fsyncDesc    = prometheus.NewDesc("daybook_store_fsync_seconds", "Time of an fsync of the write-ahead log.", nil, nil)
	storeFigures = []storeFigure{
		figure("wal_bytes", "Bytes of the write-ahead log that are not yet in tables.", prometheus.GaugeValue, func(m pebblestore.Metrics) float64 { return float64(m.WALBytes) }),
		figure("wal_written_bytes_total", "Bytes written to the write-ahead log.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.WALWritten) }),
		figure("tables_written_bytes_total", "Bytes written by flushes, compactions and loads.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.TableWritten) }),
		figure("compactions_total", "Compactions.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.Compactions) }),
		figure("compaction_debt_bytes", "Bytes that compactions still have to write.", prometheus.GaugeValue, func(m pebblestore.Metrics) float64 { return float64(m.Debt) }),
		figure("write_stalls_total", "Times writes had to wait for a flush or compaction.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.WriteStalls) }),
		figure("disk_slow_total", "Operations of the disk that took over 5 s.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.DiskSlow) }),
		figure("background_failures_total", "Flushes and compactions that failed, and are tried again.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.Failures) }),
		figure("damaged_reads_total", "Reads of bytes that do not match their checksum.", prometheus.CounterValue, func(m pebblestore.Metrics) float64 { return float64(m.Damages) }),
		figure("read_amplification", "Files that a read may have to look into.", prometheus.GaugeValue, func(m pebblestore.Metrics) float64 { return float64(m.ReadAmp) }),
		figure("memtable_bytes", "Bytes of memtables.", prometheus.GaugeValue, func(m pebblestore.Metrics) float64 { return float64(m.MemTables) }),
		figure("cache_bytes", "Bytes in the block cache.", prometheus.GaugeValue, func(m pebblestore.Metrics) float64 { return float64(m.CacheBytes) }),
	}
)

// Describe implements prometheus.Collector.
func (c storeCollector) Describe(out chan<- *prometheus.Desc) {
	out <- ballastDesc
	out <- fsyncDesc
	for _, f := range storeFigures {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector. A store that is closed shows nothing.
func (c storeCollector) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(ballastDesc, prometheus.GaugeValue, float64(c.ballast.Held()))
	m, err := c.store.Metrics()
	if err != nil {
		return
	}
	out <- prometheus.MustNewConstHistogram(fsyncDesc, m.Fsync.Count, m.Fsync.Sum, m.Fsync.Buckets)
	for _, f := range storeFigures {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(m))
	}
}
