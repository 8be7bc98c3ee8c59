package main

import (
	"strings"
	"testing"
	"time"
)

func TestPercentiles(t *testing.T) {
	var all []time.Duration
	for i := range 200 {
		all = append(all, time.Duration(200-i)*time.Millisecond)
	}
	if p50, p99, most := percentiles(all); p50 != 101 || p99 != 199 || most != 200 {
		t.Errorf("%v %v %v", p50, p99, most)
	}
	if p50, p99, most := percentiles(nil); p50+p99+most != 0 {
		t.Errorf("of nothing: %v %v %v", p50, p99, most)
	}
}

// TestMedianResult: the run of the median rate is printed whole, and what the
// others came to beside it.
func TestMedianResult(t *testing.T) {
	var results []*benchResult
	for _, rate := range []float64{300, 100, 200} {
		results = append(results, &benchResult{Events: int(rate), EventsPerSecond: rate, P50: rate / 100})
	}
	r := medianResult(results)
	if r.EventsPerSecond != 200 || r.P50 != 2 || len(r.Repeats) != 3 || r.Repeats[0] != 300 {
		t.Errorf("%+v", r)
	}
	r.serverShare(map[string]float64{"process_cpu_seconds_total": 1}, map[string]float64{"process_cpu_seconds_total": 3, "daybook_store_wal_written_bytes_total": 4000})
	r.compare(&benchResult{EventsPerSecond: 400, P50: 1})
	if r.ServerCPU != 2 || r.WrittenBytesPerEvent != 20 || r.Ratio != 0.5 || r.RatioP50 != 2 {
		t.Errorf("%+v", r)
	}
	var b strings.Builder
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"200 events/s", "the log reaches 0.50 of its rate at 2.0 times its p50", "the median of 3 runs, from 100 to 300 events/s"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
