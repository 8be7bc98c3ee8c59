package soak

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// soaked is the report of one sample a minute, of values that value gives for an
// hour since the beginning.
func soaked(minutes int, value func(key string, hour float64) float64) *Report {
	c := &Config{Duration: time.Duration(minutes) * time.Minute, Every: time.Minute}
	l := newLoad(c)
	l.events.Store(1e6)
	l.counts[classStream] = 10_000
	var samples []Sample
	for i := range minutes {
		s := Sample{Seconds: float64(i+1) * 60, Values: map[string]float64{}}
		for _, c := range columns {
			if v := value(c.key, s.Seconds/3600); !math.IsNaN(v) {
				s.Values[c.key] = v
			}
		}
		samples = append(samples, s)
	}
	return newReport(c, l, "example.com/log", time.Unix(1795000000, 0), float64(minutes)*60, samples)
}

// steady is a healthy log: a saw of memory, a size that grows.
func steady(key string, hour float64) float64 {
	switch key {
	case "size":
		return 1e6 + 4e6*hour
	case "memory_mb":
		return 400 + math.Mod(hour*60, 7)
	case "errors", "follower_lag":
		return 0
	case "index_lag":
		return math.NaN() // of an older server
	}
	return 50
}

func verdictOf(t *testing.T, r *Report, name string) string {
	t.Helper()
	for _, v := range r.Verdicts {
		if v.Name == name {
			return v.Result
		}
	}
	return "none"
}

func TestVerdicts(t *testing.T) {
	bent := func(key string, bend func(hour float64) float64) func(string, float64) float64 {
		return func(k string, hour float64) float64 {
			if k == key {
				return bend(hour)
			}
			return steady(k, hour)
		}
	}
	for name, c := range map[string]struct {
		minutes int
		value   func(string, float64) float64
		verdict string
		want    string
	}{
		"steady memory":   {240, steady, "memory", ResultOK},
		"growing memory":  {240, bent("memory_mb", func(h float64) float64 { return 400 + 20*h }), "memory", ResultFailed},
		"warm-up":         {240, bent("memory_mb", func(h float64) float64 { return 400 - 300*math.Exp(-h*20) }), "memory", ResultOK},
		"short":           {10, bent("memory_mb", func(h float64) float64 { return 400 + 20*h }), "memory", ResultUnknown},
		"shrinking":       {240, bent("memory_mb", func(h float64) float64 { return 400 - 20*h }), "memory", ResultOK},
		"leaking files":   {240, bent("open_files", func(h float64) float64 { return 50 + 2*h }), "open files", ResultFailed},
		"goroutines":      {240, bent("goroutines", func(h float64) float64 { return 50 + 2*h }), "goroutines", ResultFailed},
		"unknown":         {240, bent("goroutines", func(float64) float64 { return math.NaN() }), "goroutines", ResultUnknown},
		"slower":          {240, bent("events_per_second", func(h float64) float64 { return 50_000 - 4_000*h }), "rate", ResultFailed},
		"faster":          {240, bent("events_per_second", func(h float64) float64 { return 50_000 + 4_000*h }), "rate", ResultOK},
		"later":           {240, bent("stream_p99_ms", func(h float64) float64 { return 50 + 8*h }), "latency", ResultFailed},
		"no index lag":    {240, steady, "index", "none"},
		"index lag":       {240, bent("index_lag", func(float64) float64 { return 1 << 17 }), "index", ResultOK},
		"a far follower":  {240, bent("follower_lag", func(h float64) float64 { return h * 1e6 }), "follower", ResultFailed},
		"a near follower": {240, steady, "follower", ResultOK},
	} {
		if got := verdictOf(t, soaked(c.minutes, c.value), c.verdict); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if failed := soaked(240, steady).Failed(); len(failed) > 0 {
		t.Errorf("a steady log fails: %v", failed)
	}
}

func TestErrorsFail(t *testing.T) {
	c := &Config{Duration: time.Second}
	l := newLoad(c)
	l.failed(classRead, fmt.Errorf("entry 7: not proven"))
	r := newReport(c, l, "example.com/log", time.Now(), 0.5, nil)
	if got := r.Failed(); len(got) != 1 || got[0] != "errors" || !r.Interrupted || r.LastError != "read: entry 7: not proven" {
		t.Errorf("%+v", r)
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil || !strings.Contains(b.String(), "soak that was ended early") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// TestReportTrends checks the figures of a report against what made them.
func TestReportTrends(t *testing.T) {
	r := soaked(240, steady)
	s := r.series("size")
	if s.Min != 1e6+4e6/60 || s.Max != 17e6 || s.Last != 17e6 {
		t.Errorf("size %+v", s)
	}
	if got := *s.PerHour * s.Median; math.Abs(got-4e6) > 1 {
		t.Errorf("size grows by %v an hour", got)
	}
	if got := *s.PerMillion * s.Median; math.Abs(got-1e6) > 1 {
		t.Errorf("size grows by %v a million entries", got)
	}
	if r.series("index_lag") != nil {
		t.Error("what was never known has a series")
	}
	if len(r.Table) != rows || r.Table[rows-1].Seconds != 240*60 {
		t.Errorf("table of %d rows, the last at %v", len(r.Table), r.Table[len(r.Table)-1].Seconds)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"soak of example.com/log", "4:00:00", "memory MB", "Verdicts\n", "+0.0 %", "|____...."} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text has no %q:\n%s", want, b.String())
		}
	}
}

// TestServerValues: counters are shown for each second, and not over a restart.
func TestServerValues(t *testing.T) {
	before := map[string]float64{clockFigure: 100, "process_cpu_seconds_total": 10, "process_resident_memory_bytes": 1 << 20}
	now := map[string]float64{clockFigure: 110, "process_cpu_seconds_total": 15, "process_resident_memory_bytes": 3 << 20}
	values := map[string]float64{}
	serverValues(values, before, now)
	if values["cpu"] != 0.5 || values["memory_mb"] != 3 || len(values) != 2 {
		t.Errorf("%v", values)
	}
	values = map[string]float64{}
	serverValues(values, now, before)
	if _, ok := values["cpu"]; ok {
		t.Errorf("over a restart: %v", values)
	}
}
