package soak

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// tableKeys are the series that the table for people shows.
var tableKeys = []string{"events_per_second", "stream_p50_ms", "stream_p99_ms", "unary_p99_ms", "read_p99_ms", "size", "memory_mb", "goroutines", "open_files", "disk_mb", "follower_lag", "errors"}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	what := "soak"
	if r.Interrupted {
		what = "soak that was ended early"
	}
	fmt.Fprintf(&b, "%s of %s\nbegan %s, took %s: %d events, %d receipts verified, %d errors\n", what, r.Origin,
		r.Began.Format(time.RFC3339), clock(r.Seconds), r.Events, r.ReceiptsVerified, r.Errors)
	fmt.Fprintf(&b, "operations:")
	for _, class := range classes {
		fmt.Fprintf(&b, " %d %s", r.Operations[class], class)
	}
	fmt.Fprintf(&b, "\n%d samples, one every %.3g s\n\nOver time (median of each stretch)\n", r.Samples, r.SecondsEvery)
	r.writeTable(&b)
	fmt.Fprintf(&b, "\nIn all (trends after %s)\n", clock(r.WarmUpSeconds))
	r.writeSeries(&b)
	b.WriteString("\nVerdicts\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, v := range r.Verdicts {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", v.Name, v.Result, v.Text)
	}
	t.Flush() // writes to memory: it cannot fail
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeTable(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "time\t")
	for _, key := range tableKeys {
		if s := r.series(key); s != nil {
			fmt.Fprintf(t, "%s\t", s.Title)
		}
	}
	fmt.Fprintln(t)
	for _, row := range r.Table {
		fmt.Fprintf(t, "%s\t", clock(row.Seconds))
		for _, key := range tableKeys {
			if r.series(key) == nil {
				continue
			}
			cell := "-"
			if v, ok := row.Values[key]; ok {
				cell = number(v)
			}
			fmt.Fprintf(t, "%s\t", cell)
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

func (r *Report) writeSeries(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tmin\tmedian\tmax\tan hour\ta million entries\tover time")
	for _, s := range r.Series {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t|%s|\n", s.Title, number(s.Min), number(s.Median), number(s.Max), percent(s.PerHour), percent(s.PerMillion), s.Sparkline)
	}
	t.Flush()
}

// number prints three digits that matter, and whole numbers whole.
func number(v float64) string {
	switch {
	case v >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func percent(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%+.1f %%", *v*100)
}
