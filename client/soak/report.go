package soak

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A Report is what a soak came to.
type Report struct {
	// Origin of the log.
	Origin string `json:"origin"`
	// Began is when the load began, Seconds how long it was.
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	// Interrupted: it ended before its time.
	Interrupted bool `json:"interrupted"`
	// Events acknowledged.
	Events int64 `json:"events"`
	// Operations by class: stream, unary, oneoff, read, run.
	Operations map[string]int `json:"operations"`
	// ReceiptsVerified counts receipts, entries and their proofs that were checked.
	ReceiptsVerified int64 `json:"receipts_verified"`
	// Errors, and the last of them.
	Errors    int    `json:"errors"`
	LastError string `json:"last_error,omitempty"`
	// Samples taken, and the seconds between them.
	Samples      int     `json:"samples"`
	SecondsEvery float64 `json:"seconds_between_samples"`
	// WarmUpSeconds at the beginning are left out of the trends.
	WarmUpSeconds float64 `json:"warm_up_seconds"`
	// Series are the figures that were sampled, those that never were left out.
	Series []Series `json:"series"`
	// Table shows the same over time: the median of each stretch.
	Table []Row `json:"table"`
	// Verdicts say what follows.
	Verdicts []Verdict `json:"verdicts"`
}

// Series sums up one figure.
type Series struct {
	Key    string  `json:"key"`
	Title  string  `json:"title"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
	Last   float64 `json:"last"`
	// PerHour and PerMillion are the trend over time, and over the size of the log,
	// as parts of the median for each hour and million entries; absent where there
	// is too little to say, as in less than ten minutes.
	PerHour    *float64 `json:"trend_per_hour,omitempty"`
	PerMillion *float64 `json:"trend_per_million_entries,omitempty"`
	// Sparkline draws it over time, the lowest as `_` and the highest as `#`.
	Sparkline string `json:"sparkline"`
}

// Row is one stretch of the soak.
type Row struct {
	// Seconds since the beginning, at the end of the stretch.
	Seconds float64 `json:"seconds"`
	// Values by the key of their series: the median of the stretch.
	Values map[string]float64 `json:"values"`
}

// A column is one figure: of the load, or, where figure is set, of the server.
type column struct {
	key, title string
	figure     string  // Prometheus name
	scale      float64 // of figure; a counter is shown for each second
	counter    bool
}

const mega = 1.0 / (1 << 20)

// columns in the order of the report.
var columns = []column{
	{key: "events_per_second", title: "events/s"},
	{key: "stream_p50_ms", title: "stream p50 ms"},
	{key: "stream_p99_ms", title: "stream p99 ms"},
	{key: "stream_max_ms", title: "stream max ms"},
	{key: "unary_p50_ms", title: "unary p50 ms"},
	{key: "unary_p99_ms", title: "unary p99 ms"},
	{key: "oneoff_p99_ms", title: "one-off p99 ms"},
	{key: "read_p50_ms", title: "read p50 ms"},
	{key: "read_p99_ms", title: "read p99 ms"},
	{key: "run_p99_ms", title: "run p99 ms"},
	{key: "errors", title: "errors"},
	{key: "size", title: "size", figure: "daybook_size", scale: 1},
	{key: "memory_mb", title: "memory MB", figure: "process_resident_memory_bytes", scale: mega},
	{key: "heap_mb", title: "heap MB", figure: "go_memstats_heap_inuse_bytes", scale: mega},
	{key: "goroutines", title: "goroutines", figure: "go_goroutines", scale: 1},
	{key: "open_files", title: "open files", figure: "process_open_fds", scale: 1},
	{key: "cpu", title: "CPUs busy", figure: "process_cpu_seconds_total", scale: 1, counter: true},
	{key: "disk_mb", title: "disk MB", figure: "daybook_disk_bytes", scale: mega},
	{key: "follower_lag", title: "follower lag", figure: "daybook_follower_lag_entries", scale: 1},
	{key: "index_lag", title: "index lag", figure: "daybook_index_lag_entries", scale: 1},
	{key: "queue_mb", title: "queue MB", figure: "daybook_queue_bytes", scale: mega},
	{key: "streams", title: "streams", figure: "daybook_streams", scale: 1},
	{key: "runs", title: "runs", figure: "daybook_runs", scale: 1},
	{key: "wal_mb", title: "WAL MB", figure: "daybook_store_wal_bytes", scale: mega},
	{key: "memtables_mb", title: "memtables MB", figure: "daybook_store_memtable_bytes", scale: mega},
	{key: "cache_mb", title: "block cache MB", figure: "daybook_store_cache_bytes", scale: mega},
	{key: "debt_mb", title: "compaction debt MB", figure: "daybook_store_compaction_debt_bytes", scale: mega},
	{key: "written_mb_per_second", title: "tables MB/s", figure: "daybook_store_tables_written_bytes_total", scale: mega, counter: true},
	{key: "read_amplification", title: "read amplification", figure: "daybook_store_read_amplification", scale: 1},
}

// serverValues turns the server's figures into values: before are those of the
// sample before.
func serverValues(values, before, now map[string]float64) {
	elapsed := now[clockFigure] - before[clockFigure]
	for _, c := range columns {
		v, ok := now[c.figure]
		if c.figure == "" || !ok {
			continue
		}
		if c.counter {
			old, known := before[c.figure]
			if !known || v < old || elapsed <= 0 { // it began anew: the server was restarted
				continue
			}
			v = (v - old) / elapsed
		}
		values[c.key] = v * c.scale
	}
}

// clockFigure is when figures were read, in seconds; Run's reader adds it.
const clockFigure = "soak_clock_seconds"

const (
	rows       = 24 // of the table
	sparkWidth = 48
)

func newReport(c *Config, l *load, origin string, began time.Time, seconds float64, samples []Sample) *Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &Report{Origin: origin, Began: began.UTC(), Seconds: seconds, Interrupted: seconds < c.Duration.Seconds(),
		Events: l.events.Load(), Operations: l.counts, ReceiptsVerified: l.verified.Load(), Errors: l.errors, LastError: l.last,
		Samples: len(samples), SecondsEvery: c.Every.Seconds(), WarmUpSeconds: seconds / 10}
	r.sum(samples)
	r.judge()
	return r
}

// sum makes series and table of the samples.
func (r *Report) sum(samples []Sample) {
	warm := slices.IndexFunc(samples, func(s Sample) bool { return s.Seconds >= r.WarmUpSeconds })
	if warm < 0 {
		warm = len(samples)
	}
	hours, millions := make([]float64, len(samples)), make([]float64, len(samples))
	for i, s := range samples {
		hours[i], millions[i] = s.Seconds/3600, s.value("size")/1e6
	}
	for _, c := range columns {
		all := make([]float64, len(samples))
		for i, s := range samples {
			all[i] = s.value(c.key)
		}
		v := known(all)
		if len(v) == 0 {
			continue
		}
		s := Series{Key: c.key, Title: c.title, Min: slices.Min(v), Median: Median(v), Max: slices.Max(v), Last: v[len(v)-1], Sparkline: Sparkline(all, sparkWidth)}
		if r.Seconds-r.WarmUpSeconds >= trendAfter.Seconds() {
			s.PerHour, s.PerMillion = s.trend(hours[warm:], all[warm:]), s.trend(millions[warm:], all[warm:])
		}
		r.Series = append(r.Series, s)
	}
	for _, b := range buckets(len(samples), rows) {
		row := Row{Seconds: samples[b[1]-1].Seconds, Values: map[string]float64{}}
		for _, s := range r.Series {
			var v []float64
			for _, sample := range samples[b[0]:b[1]] {
				v = append(v, sample.value(s.Key))
			}
			if m := Median(known(v)); !math.IsNaN(m) {
				row.Values[s.Key] = m
			}
		}
		r.Table = append(r.Table, row)
	}
}

// trend returns the slope as a part of the median; nil where it is not known.
func (s *Series) trend(xs, ys []float64) *float64 {
	slope, ok := Slope(xs, ys)
	if !ok || s.Median == 0 {
		return nil
	}
	part := slope / math.Abs(s.Median)
	return &part
}

func (r *Report) series(key string) *Series {
	for i := range r.Series {
		if r.Series[i].Key == key {
			return &r.Series[i]
		}
	}
	return nil
}

// clock formats seconds as 1:02:03.
func clock(seconds float64) string {
	s := int(seconds)
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
