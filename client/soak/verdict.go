package soak

import (
	"fmt"
	"time"
)

// Results of a verdict.
const (
	ResultOK      = "ok"
	ResultFailed  = "failed"
	ResultUnknown = "unknown" // too short a time, or the figure was not there
)

// A Verdict is what follows from one figure.
type Verdict struct {
	// Name of what is judged.
	Name string `json:"name"`
	// Result: ok, failed, unknown.
	Result string `json:"result"`
	// Text says why, for people.
	Text string `json:"text"`
}

// Thresholds says how a soak is judged, for people.
const Thresholds = `A soak fails where memory, goroutines or open files of the server grow by over 2 %
an hour, the p99 of a streamed batch by over 10 %, where the rate falls by over 5 %
an hour, the follower or the index is ever over 262,144 entries behind, or there is
any error. Trends are those after the first tenth of the time; of less than ten
minutes nothing is said.`

// trendAfter is the time that a trend needs after the warm-up.
const trendAfter = 10 * time.Minute

// maxLag is how many entries follower and index may be behind: four snapshots.
const maxLag = 4 << 16

// A limit bounds the trend of one series, as a part of its median an hour.
type limit struct {
	name, key string
	most      float64
	falling   bool // it must not fall; else it must not grow
}

var limits = []limit{
	{"memory", "memory_mb", 0.02, false},
	{"goroutines", "goroutines", 0.02, false},
	{"open files", "open_files", 0.02, false},
	{"latency", "stream_p99_ms", 0.10, false},
	{"rate", "events_per_second", 0.05, true},
}

// judge fills in the verdicts.
func (r *Report) judge() {
	for _, l := range limits {
		r.Verdicts = append(r.Verdicts, r.judgeTrend(l))
	}
	for _, l := range []struct{ name, key string }{{"follower", "follower_lag"}, {"index", "index_lag"}} {
		if s := r.series(l.key); s != nil {
			v := Verdict{l.name, ResultOK, fmt.Sprintf("at most %.0f entries behind", s.Max)}
			if s.Max > maxLag {
				v.Result = ResultFailed
			}
			r.Verdicts = append(r.Verdicts, v)
		}
	}
	v := Verdict{"errors", ResultOK, "none"}
	if r.Errors > 0 {
		v.Result, v.Text = ResultFailed, fmt.Sprintf("%d, the last %s", r.Errors, r.LastError)
	}
	r.Verdicts = append(r.Verdicts, v)
}

func (r *Report) judgeTrend(l limit) Verdict {
	v := Verdict{Name: l.name, Result: ResultUnknown}
	s := r.series(l.key)
	if s == nil || s.PerHour == nil {
		if v.Text = "the figure is not known"; s != nil {
			v.Text = "too short a time to say"
		}
		return v
	}
	v.Text = fmt.Sprintf("%+.1f %% an hour", *s.PerHour*100)
	if s.PerMillion != nil {
		v.Text += fmt.Sprintf(", %+.1f %% for each million entries", *s.PerMillion*100)
	}
	worse := *s.PerHour
	if l.falling {
		worse = -worse
	}
	if v.Result = ResultOK; worse > l.most {
		v.Result = ResultFailed
	}
	return v
}

// Failed returns the names of what failed.
func (r *Report) Failed() []string {
	var names []string
	for _, v := range r.Verdicts {
		if v.Result == ResultFailed {
			names = append(names, v.Name)
		}
	}
	return names
}
