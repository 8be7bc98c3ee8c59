package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A benchResult is what the load came to; its JSON fields are stable.
type benchResult struct {
	Events           int     `json:"events"`
	EventsPerSecond  float64 `json:"events_per_second"`
	P50              float64 `json:"p50_ms"`
	P99              float64 `json:"p99_ms"`
	Max              float64 `json:"max_ms"`
	ReceiptsVerified int     `json:"receipts_verified"`
	BytesPerEvent    float64 `json:"bytes_per_event"`
	Seconds          float64 `json:"seconds"`
	Errors           int     `json:"errors"`
	// ClientCPU is the CPU time of this process under the load, ServerCPU that of
	// the server. DiskBytesPerEvent is what the store grew by, which says little
	// of a short run: log files are used again. WrittenBytesPerEvent is what it
	// wrote, to its log, by flushes and by compactions. Absent where unknown.
	ClientCPU            float64 `json:"client_cpu_seconds,omitempty"`
	ServerCPU            float64 `json:"server_cpu_seconds,omitempty"`
	DiskBytesPerEvent    float64 `json:"disk_bytes_per_event,omitempty"`
	WrittenBytesPerEvent float64 `json:"written_bytes_per_event,omitempty"`
	// Baseline is bare gRPC over TLS with the same requests, run after the load;
	// Ratio is events_per_second over it, RatioP50 p50_ms over its p50. Absent
	// without --baseline.
	Baseline    float64 `json:"baseline_events_per_second,omitempty"`
	BaselineP50 float64 `json:"baseline_p50_ms,omitempty"`
	BaselineP99 float64 `json:"baseline_p99_ms,omitempty"`
	Ratio       float64 `json:"ratio,omitempty"`
	RatioP50    float64 `json:"ratio_p50,omitempty"`
	// Repeats are the rates of all runs, in their order; absent where there is one.
	Repeats []float64 `json:"repeats_events_per_second,omitempty"`
}

// summarize adds up what the producers did.
func summarize(producers []*benchProducer, seconds float64) *benchResult {
	r := &benchResult{Seconds: seconds}
	var all []time.Duration
	bytes := 0
	for _, b := range producers {
		all = append(all, b.latencies...)
		r.Events += b.count
		r.ReceiptsVerified += b.verified
		r.Errors += b.errors
		bytes += b.bytes
	}
	if r.Events == 0 {
		return r
	}
	r.P50, r.P99, r.Max = percentiles(all)
	r.EventsPerSecond = float64(r.Events) / seconds
	r.BytesPerEvent = float64(bytes) / float64(r.Events)
	return r
}

// percentiles returns median, 99th percentile and maximum in milliseconds; it
// sorts.
func percentiles(all []time.Duration) (p50, p99, most float64) {
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return ms(all[len(all)/2]), ms(all[len(all)*99/100]), ms(all[len(all)-1])
}

// serverShare notes what the server's figures grew by; nil: they are not known.
func (r *benchResult) serverShare(before, after map[string]float64) {
	if before == nil || after == nil {
		return
	}
	grown := func(names ...string) float64 {
		sum := 0.0
		for _, name := range names {
			sum += after[name] - before[name]
		}
		return max(sum, 0)
	}
	r.ServerCPU = grown("process_cpu_seconds_total")
	if r.Events > 0 {
		r.DiskBytesPerEvent = grown("daybook_disk_bytes") / float64(r.Events)
		r.WrittenBytesPerEvent = grown("daybook_store_wal_written_bytes_total", "daybook_store_tables_written_bytes_total") / float64(r.Events)
	}
}

// compare puts the baseline beside the load.
func (r *benchResult) compare(bare *benchResult) {
	r.Baseline, r.BaselineP50, r.BaselineP99 = bare.EventsPerSecond, bare.P50, bare.P99
	if bare.EventsPerSecond > 0 {
		r.Ratio = r.EventsPerSecond / bare.EventsPerSecond
	}
	if bare.P50 > 0 {
		r.RatioP50 = r.P50 / bare.P50
	}
}

// medianResult returns the run of the median rate, so that its figures belong
// together; there is one at least.
func medianResult(results []*benchResult) *benchResult {
	if len(results) == 1 {
		return results[0]
	}
	var rates []float64
	for _, r := range results {
		rates = append(rates, r.EventsPerSecond)
	}
	sorted := slices.SortedFunc(slices.Values(results), func(a, b *benchResult) int {
		return cmp.Compare(a.EventsPerSecond, b.EventsPerSecond)
	})
	median := sorted[len(sorted)/2]
	median.Repeats = rates
	return median
}

// print prints the result for people.
func (r *benchResult) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d events of %.0f bytes in %.1f s: %.0f events/s\n", r.Events, r.BytesPerEvent, r.Seconds, r.EventsPerSecond)
	fmt.Fprintf(&b, "batch latency p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", r.P50, r.P99, r.Max)
	fmt.Fprintf(&b, "%d receipts verified, %d errors\n", r.ReceiptsVerified, r.Errors)
	if r.Events > 0 && r.ClientCPU > 0 {
		fmt.Fprintf(&b, "CPU per event: %.1f us in this process", r.ClientCPU/float64(r.Events)*1e6)
		if r.ServerCPU > 0 {
			fmt.Fprintf(&b, ", %.1f us in the server", r.ServerCPU/float64(r.Events)*1e6)
		}
		b.WriteByte('\n')
	}
	if r.WrittenBytesPerEvent > 0 {
		fmt.Fprintf(&b, "for each event the store wrote %.0f bytes and grew by %.0f on disk, its write-ahead log included\n", r.WrittenBytesPerEvent, r.DiskBytesPerEvent)
	}
	if r.Baseline > 0 {
		fmt.Fprintf(&b, "bare gRPC with the same requests: %.0f events/s, p50 %.2f ms, p99 %.2f ms; the log reaches %.2f of its rate at %.1f times its p50\n",
			r.Baseline, r.BaselineP50, r.BaselineP99, r.Ratio, r.RatioP50)
	}
	if len(r.Repeats) > 0 {
		fmt.Fprintf(&b, "this is the median of %d runs, from %.0f to %.0f events/s\n", len(r.Repeats), slices.Min(r.Repeats), slices.Max(r.Repeats))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
