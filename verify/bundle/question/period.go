package question

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Local time has never been further from UTC since 1970: whoever writes offsets may
// not shift a period further.
const (
	westmost = -12 * 3600 // seconds
	eastmost = 14 * 3600
)

// The first time a period may name, and the last, exclusive: what fits an int64 of
// nanoseconds since 1970, with some room.
const (
	firstYear = 1970
	endYear   = 2200
)

func (p *Period) check() error {
	if p == nil {
		return nil
	}
	for _, t := range []struct{ name, text string }{{"text", p.Text}, {"zone", p.Zone}} {
		if err := checkText(t.text); err != nil {
			return fmt.Errorf("period.%s: %w", t.name, err)
		}
		if t.text == "" {
			return fmt.Errorf("period.%s is missing", t.name)
		}
	}
	if p.By != ByLogged && p.By != ByOccurred {
		return fmt.Errorf("period.by %.20q: want %s or %s", p.By, ByLogged, ByOccurred)
	}
	start, err := parseTime(p.Start)
	if err != nil {
		return fmt.Errorf("period.start: %w", err)
	}
	end, err := parseTime(p.End)
	if err != nil {
		return fmt.Errorf("period.end: %w", err)
	}
	if !start.Before(end) || start.Year() < firstYear || end.Year() > endYear {
		return fmt.Errorf("period [%s, %s) is none", p.Start, p.End)
	}
	if err := p.checkOffsets(); err != nil {
		return err
	}
	return p.checkText(start, end)
}

// checkText checks that the text names the period, in the zone whose offsets these
// are.
func (p *Period) checkText(start, end time.Time) error {
	from, until, absolute, err := parsePeriod(p.Text)
	if err != nil {
		return err
	}
	if absolute && (!from.Equal(start) || !until.Equal(end)) || !absolute && (!p.isLocal(start, from) || !p.isLocal(end, until)) {
		return fmt.Errorf("period %.80q is not [%s, %s)", p.Text, p.Start, p.End)
	}
	return nil
}

// isLocal tells whether a time is that of a local date and clock, which are given
// as if in UTC. Where the zone leaves that clock out, any of its offsets serves.
func (p *Period) isLocal(t, local time.Time) bool {
	exists, serves := false, false
	for _, o := range p.Offsets {
		at := local.Add(-time.Duration(o.Seconds) * time.Second)
		seconds, _ := p.offset(at.UnixNano())
		if seconds == o.Seconds {
			exists = true
			if at.Equal(t) {
				return true
			}
		}
		serves = serves || at.Equal(t)
	}
	return !exists && serves
}

// InZone says whether the period has the bounds and the offsets that zones give its
// text: who writes the offsets could shift it, or the local times that are told by them.
// zones may be of another year than those it was asked with, so that a difference is for
// people to look at. Check has passed.
func (p *Period) InZone(zones Zones) error {
	in := period{text: p.Text, zone: p.Zone, by: p.By}
	own, err := in.period(zones)
	if err != nil {
		return err
	}
	if own.Start != p.Start || own.End != p.End {
		return fmt.Errorf("period %.80q in %.64q is [%s, %s), not [%s, %s)", p.Text, p.Zone, own.Start, own.End, p.Start, p.End)
	}
	return p.sameClocks(own)
}

// sameClocks compares the offsets of two periods with the same bounds, as far around
// them as they are told.
func (p *Period) sameClocks(own *Period) error {
	start, end := p.bounds()
	lo, hi := time.Unix(0, start).Add(-around), time.Unix(0, end).Add(around)
	looks := []time.Time{lo}
	for _, o := range slices.Concat(own.Offsets, p.Offsets) {
		if from, err := parseTime(o.From); err == nil && from.After(lo) && from.Before(hi) {
			looks = append(looks, from)
		}
	}
	slices.SortFunc(looks, time.Time.Compare)
	for _, t := range looks {
		want, _ := own.offset(t.UnixNano())
		if got, _ := p.offset(t.UnixNano()); got != want {
			return fmt.Errorf("clocks in %.64q are %v from UTC at %s, not %v", p.Zone, time.Duration(want)*time.Second, t.UTC().Format(layout), time.Duration(got)*time.Second)
		}
	}
	return nil
}

// Ends returns the end of the period in UTC nanoseconds, exclusive. Check has
// passed.
func (p *Period) Ends() int64 {
	_, end := p.bounds()
	return end
}

func (p *Period) checkOffsets() error {
	if len(p.Offsets) == 0 || len(p.Offsets) > MaxOffsets {
		return fmt.Errorf("period has %d offsets, want 1 to %d", len(p.Offsets), MaxOffsets)
	}
	if p.Zone == "UTC" && (len(p.Offsets) > 1 || p.Offsets[0].Seconds != 0) {
		return fmt.Errorf("period.offsets are not those of UTC")
	}
	var last time.Time
	for i, o := range p.Offsets {
		from, err := parseTime(o.From)
		if err != nil {
			return fmt.Errorf("period.offsets[%d].from: %w", i, err)
		}
		if i == 0 && !from.IsZero() || i > 0 && !from.After(last) {
			return fmt.Errorf("period.offsets[%d].from: the first is from year 1, they ascend", i)
		}
		if o.Seconds < westmost || o.Seconds > eastmost {
			return fmt.Errorf("period.offsets[%d].seconds: %d is the offset of no zone", i, o.Seconds)
		}
		if err := checkText(o.Name); err != nil || o.Name == "" || len(o.Name) > 32 {
			return fmt.Errorf("period.offsets[%d].name is none", i)
		}
		last = from
	}
	return nil
}

// layout is RFC 3339 in UTC to the second.
const layout = "2006-01-02T15:04:05Z"

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(layout, s)
	if err != nil || t.Format(layout) != s {
		return time.Time{}, fmt.Errorf("%.40q is no time such as %s", s, layout)
	}
	return t, nil
}

// reported is how long before an access its report can be in the log, by clocks
// that are nearly right: the slack of a question by time of occurrence.
const reported = 24 * time.Hour

// Logged returns the window of log times in which the answers are, [lo, hi) in UTC
// nanoseconds; all of time without a period. By time of occurrence it begins a day
// before and has no end: a report can be late, but is never made long before.
func (q *Question) Logged() (lo, hi int64) {
	if q.Period == nil {
		return math.MinInt64, math.MaxInt64
	}
	start, end := q.Period.bounds()
	if q.Period.By == ByOccurred {
		return start - int64(reported), math.MaxInt64
	}
	return start, end
}

// Occurred tells whether an access that occurred at ns, UTC nanoseconds, is asked
// for.
func (q *Question) Occurred(ns int64) bool {
	if q.Period == nil || q.Period.By != ByOccurred {
		return true
	}
	start, end := q.Period.bounds()
	return ns >= start && ns < end
}

// bounds returns the period in UTC nanoseconds; Check has passed.
func (p *Period) bounds() (start, end int64) {
	s, _ := time.Parse(layout, p.Start)
	e, _ := time.Parse(layout, p.End)
	return s.UnixNano(), e.UnixNano()
}

// Local returns the offset of the period's zone at a time, UTC nanoseconds; UTC's
// without a period.
func (q *Question) Local(ns int64) (seconds int, name string) {
	if q.Period == nil {
		return 0, "UTC"
	}
	return q.Period.offset(ns)
}

func (p *Period) offset(ns int64) (seconds int, name string) {
	seconds, name = p.Offsets[0].Seconds, p.Offsets[0].Name
	for _, o := range p.Offsets[1:] {
		from, _ := time.Parse(layout, o.From)
		if from.UnixNano() > ns {
			break
		}
		seconds, name = o.Seconds, o.Name
	}
	return seconds, name
}
