package server

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/daybook-ledger/daybook/ledger"
)

// latencies are the buckets of the histograms, in seconds: 50 us to 26 s.
var latencies = prometheus.ExponentialBuckets(50e-6, 2, 20)

// Metrics observes a server and its log. Make it with [NewMetrics] before the
// ledger, to which it is the ledger.Metrics. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.HistogramVec // by listener and method
	refusals *prometheus.CounterVec   // by listener and reason
	batches  *prometheus.CounterVec   // by outcome
	events   prometheus.Counter
	commits  prometheus.Histogram
	size     prometheus.Histogram // entries of a commit
	bytes    prometheus.Counter
	streams  prometheus.Gauge
	reloads  *prometheus.CounterVec // by what and outcome
	people   *peopleMetrics
}

// NewMetrics returns the metrics of a program of this version.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "daybook_call_seconds", Help: "Time from the start of a call to its answer, by method. A stream is one call.",
			Buckets: latencies,
		}, []string{"listener", "method"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybook_refusals_total", Help: "Calls and handshakes that were refused, by reason.",
		}, []string{"listener", "reason"}),
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybook_appends_total", Help: "Batches appended, by outcome: appended, repeat, refused.",
		}, []string{"outcome"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "daybook_events_total", Help: "Events, declined and gap entries appended, repeats left out.",
		}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "daybook_commit_seconds", Help: "Time from the submission of a commit to its durability: mostly the fsync.",
			Buckets: latencies,
		}),
		size: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "daybook_commit_entries", Help: "Entries of a commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 10),
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "daybook_commit_bytes_total", Help: "Bytes submitted to the store.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "daybook_append_streams", Help: "Open append streams.",
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybook_reloads_total", Help: "Certificates, bundles and lists read again from changed files, by outcome: loaded, refused (what was in force stays).",
		}, []string{"what", "outcome"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "daybook_build_info", Help: "Always 1; the version is a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.calls, m.refusals, m.batches, m.events, m.commits, m.size, m.bytes, m.streams, m.reloads, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.people = newPeopleMetrics(m.registry)
	return m
}

// Committed implements ledger.Metrics.
func (m *Metrics) Committed(entries, bytes int, d time.Duration) {
	m.commits.Observe(d.Seconds())
	m.size.Observe(float64(entries))
	m.bytes.Add(float64(bytes))
}

// observe counts one call.
func (m *Metrics) observe(listener, method string, d time.Duration, err error) {
	m.calls.WithLabelValues(listener, method[strings.LastIndexByte(method, '/')+1:]).Observe(d.Seconds())
	if err != nil {
		m.refusals.WithLabelValues(listener, reasonOf(err)).Inc()
	}
}

// refusedHandshake counts a peer that nobody could be named for.
func (m *Metrics) refusedHandshake(listener, reason string) {
	m.refusals.WithLabelValues(listener, reason).Inc()
}

// Reloaded counts files that were read again, and the outcome. It is an
// [identity.Watcher]'s Loaded.
func (m *Metrics) Reloaded(what string, err error) {
	outcome := "loaded"
	if err != nil {
		outcome = "refused"
	}
	m.reloads.WithLabelValues(what, outcome).Inc()
}

// appended counts the outcome of one batch.
func (m *Metrics) appended(r *ledger.Receipt, err error) {
	if err != nil {
		m.batches.WithLabelValues("refused").Inc()
		return
	}
	fresh := 0
	for i := range r.Groups {
		if !r.Groups[i].Repeat {
			fresh += len(r.Groups[i].EntryHeads)
		}
	}
	if fresh == 0 {
		m.batches.WithLabelValues("repeat").Inc()
		return
	}
	m.batches.WithLabelValues("appended").Inc()
	m.events.Add(float64(fresh))
}

// watchLog registers the gauges that are read from the log when scraped.
func (m *Metrics) watchLog(status func() ledger.Status, ready func() (bool, string)) {
	gauge := func(name, help string, value func(ledger.Status) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return value(status()) }))
	}
	gauge("daybook_size", "Committed entries.", func(s ledger.Status) float64 { return float64(s.Head.Size) })
	gauge("daybook_head_timestamp_seconds", "Log time of the last commit.", func(s ledger.Status) float64 { return float64(s.Head.TimeNS) / 1e9 })
	gauge("daybook_term", "Term: raised by each open.", func(s ledger.Status) float64 { return float64(s.Head.Term) })
	gauge("daybook_follower_lag_entries", "Entries not yet verified from disk.", func(s ledger.Status) float64 { return float64(s.FollowerLag) })
	gauge("daybook_index_lag_entries", "Entries that are in no table of the index yet: searched in memory, up to a chunk of 65,536.", func(s ledger.Status) float64 { return float64(s.IndexLag) })
	gauge("daybook_queue_bytes", "Bytes that wait to be sequenced.", func(s ledger.Status) float64 { return float64(s.QueueBytes) })
	gauge("daybook_streams", "Streams of the log.", func(s ledger.Status) float64 { return float64(s.Streams) })
	gauge("daybook_runs", "Live runs.", func(s ledger.Status) float64 { return float64(s.Runs) })
	gauge("daybook_close_timestamp_seconds", "End of the period of the newest close; 0: there is none.", func(s ledger.Status) float64 { return float64(s.CloseEndNS) / 1e9 })
	gauge("daybook_close_index", "Index of the newest close.", func(s ledger.Status) float64 { return float64(s.CloseIndex) })
	gauge("daybook_close_tables_seconds", "Time in which the tables of the newest close were made and stored; appends go on meanwhile.", func(s ledger.Status) float64 { return s.CloseTook.Seconds() })
	gauge("daybook_closes_overdue", "Days that ended over 10 s ago and have no close.", func(s ledger.Status) float64 { return float64(s.ClosesOverdue) })
	gauge("daybook_disk_bytes", "Bytes the store takes on disk.", func(s ledger.Status) float64 { return float64(s.DiskBytes) })
	gauge("daybook_shut", "1 while the log reads but does not append.", func(s ledger.Status) float64 { return truth(s.Shut != "") })
	m.watchVerification(func() ledger.Verification { return status().Verification })
	m.watchDisk(func() ledger.DiskStatus { return status().Disk })
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "daybook_ready", Help: "1 while the log appends."},
		func() float64 { ok, _ := ready(); return truth(ok) }))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Register adds a collector, such as that of the store.
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }
