package question

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Zones returns the zone of an IANA name; time.LoadLocation is one.
type Zones func(name string) (*time.Location, error)

// written is a question as people write it.
type written struct {
	Format    string   `yaml:"format"`
	Case      string   `yaml:"case"`
	Item      string   `yaml:"item"`
	AskedBy   string   `yaml:"asked_by"`
	Recipient string   `yaml:"recipient"`
	From      selector `yaml:"from"`
	To        selector `yaml:"to"`
	Streams   []string `yaml:"streams"`
	Range     *Range   `yaml:"range"`
	Log       bool     `yaml:"log"`
	Period    period   `yaml:"period"`
	Zone      string   `yaml:"zone"`
	By        string   `yaml:"by"`
}

type selector Selector

// UnmarshalYAML takes a domain alone for a selector by domain.
func (s *selector) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&s.Domain)
	}
	return decodeFields(n, map[string]*string{"domain": &s.Domain, "tier": &s.Tier, "function": &s.Function, "owner": &s.Owner})
}

type period struct{ text, zone, by string }

// UnmarshalYAML takes a text alone for a period in the question's zone.
func (p *period) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		p.text = n.Value // 2026-05-17 and 2026 are text here, whatever YAML takes them for
		return nil
	}
	return decodeFields(n, map[string]*string{"text": &p.text, "zone": &p.zone, "by": &p.by})
}

// decodeFields reads a mapping of these scalars. An unknown key is an error.
func decodeFields(n *yaml.Node, fields map[string]*string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: want a mapping", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		to := fields[key.Value]
		if to == nil || value.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: field %s is not known here, or is no text", key.Line, key.Value)
		}
		*to = value.Value
	}
	return nil
}

// Read reads a question as people write it, in YAML or JSON, or a canonical one:
//
//	case: FINRA-2026-0417
//	item: "7"
//	asked_by: J. Examiner
//	recipient: FINRA
//	from: {tier: development}     # or a domain: from: web
//	to: {tier: production}
//	period: 2026-Q2
//	zone: America/New_York        # default UTC
//	by: occurred                  # default logged
//
// In place of from and to: `streams: ["access,web,prod-db,target"]`, `range: {first:
// 0, end: 1000}`, `log: true`. A period is a year, quarter, month, week or day
// (`2026`, `2026-Q2`, `2026-05`, `2026-W07`, `2026-05-17`), two of them with `..`
// between, both inclusive, or two RFC 3339 times with `..` between, the second
// exclusive. Without one the question is for all time. zones may be nil where only
// UTC is used.
func Read(text []byte, zones Zones) (*Question, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("question: %d bytes, limit %d", len(text), MaxSize)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var w written
	first := d.Decode(&w)
	if looksCanonical(text) {
		return Parse(text)
	}
	if first != nil {
		if errors.Is(first, io.EOF) {
			first = errors.New("it is empty")
		}
		return nil, fmt.Errorf("question: %w", first)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("question: a second document follows")
	}
	q, err := w.question(zones)
	if err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	return q, nil
}

// looksCanonical tells whether a text says that it is of the canonical format.
func looksCanonical(text []byte) bool {
	return bytes.HasPrefix(text, []byte("{\n  \"format\": \"daybook-question/v"))
}

func (w *written) question(zones Zones) (*Question, error) {
	if w.Format != "" && w.Format != FormatName {
		return nil, fmt.Errorf("format %.40q: leave it out", w.Format)
	}
	q := &Question{Format: FormatName, Case: w.Case, Item: w.Item, AskedBy: w.AskedBy, Recipient: w.Recipient,
		From: Selector(w.From), To: Selector(w.To), Range: w.Range, Log: w.Log}
	for _, s := range w.Streams {
		q.Streams = append(q.Streams, Stream(s))
	}
	slices.SortFunc(q.Streams, func(a, b Stream) int {
		x, _ := a.Key()
		y, _ := b.Key()
		return strings.Compare(string(x), string(y))
	})
	p := w.Period
	if p.zone != "" && w.Zone != "" || p.by != "" && w.By != "" {
		return nil, errors.New("zone or by is there twice")
	}
	p.zone, p.by = p.zone+w.Zone, p.by+w.By
	if p.text == "" && (p.zone != "" || p.by != "") {
		return nil, errors.New("zone and by are of a period, and there is none")
	}
	if p.text != "" {
		var err error
		if q.Period, err = p.period(zones); err != nil {
			return nil, err
		}
	}
	return q, q.Check()
}

func (p *period) period(zones Zones) (*Period, error) {
	out := &Period{Text: p.text, Zone: p.zone, By: p.by}
	if out.Zone == "" {
		out.Zone = "UTC"
	}
	if out.By == "" {
		out.By = ByLogged
	}
	zone := time.UTC
	switch {
	case out.Zone == "UTC":
	case out.Zone == "Local": // means another zone on each machine
		return nil, errors.New("zone \"Local\": want an IANA name such as America/New_York")
	default:
		if zones == nil {
			return nil, fmt.Errorf("zone %.64q is not known: use UTC", out.Zone)
		}
		var err error
		if zone, err = zones(out.Zone); err != nil {
			return nil, fmt.Errorf("zone %.64q: want an IANA name such as America/New_York: %w", out.Zone, err)
		}
	}
	start, end, absolute, err := parsePeriod(p.text)
	if err != nil {
		return nil, err
	}
	if !absolute {
		start, end = inZone(start, zone), inZone(end, zone)
	}
	if start.Year() < firstYear || end.Year() > endYear-1 || !start.Before(end) {
		return nil, fmt.Errorf("period %.64q ends before it starts, or is not between %d and %d", p.text, firstYear, endYear-1)
	}
	out.Start, out.End = start.UTC().Format(layout), end.UTC().Format(layout)
	out.Offsets = offsets(start, end, zone)
	return out, nil
}

// around is how far before and after a period the offsets of its zone are told:
// its answers may have occurred long before.
const around = 366 * 24 * time.Hour

func offsets(start, end time.Time, zone *time.Location) []Offset {
	at, last := start.Add(-around).In(zone), end.Add(around)
	from := time.Time{}
	var out []Offset
	for {
		name, seconds := at.Zone()
		if n := len(out); n == 0 || out[n-1].Seconds != seconds || out[n-1].Name != name {
			out = append(out, Offset{From: from.UTC().Format(layout), Seconds: seconds, Name: name})
		}
		_, next := at.ZoneBounds()
		if next.IsZero() || next.After(last) || len(out) == MaxOffsets {
			return out
		}
		if !next.After(at) {
			// On the last day of leap years after a zone's table ends, the bounds do not
			// move on.
			next = at.Add(24 * time.Hour)
		}
		at, from = next, next
	}
}

// parsePeriod returns the period that a text names, the end exclusive: two times,
// or where absolute is not set two local dates with their clocks, as if in UTC.
func parsePeriod(text string) (start, end time.Time, absolute bool, err error) {
	a, b, two := strings.Cut(text, "..")
	if !two {
		start, end, err = parseSpan(a)
		return start, end, false, err
	}
	if at, err := time.Parse(time.RFC3339, a); err == nil {
		until, err := time.Parse(time.RFC3339, b)
		if err != nil || at.Nanosecond() != 0 || until.Nanosecond() != 0 {
			return start, end, true, fmt.Errorf("period %.80q: want two RFC 3339 times, to the second", text)
		}
		return at, until, true, nil
	}
	if start, _, err = parseSpan(a); err != nil {
		return start, end, false, err
	}
	_, end, err = parseSpan(b)
	return start, end, false, err
}

// inZone returns the time at which a zone's clocks show what t shows in UTC.
func inZone(t time.Time, zone *time.Location) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, zone)
}

// parseSpan returns the year, quarter, month, week or day that a text names, as if
// in UTC.
func parseSpan(text string) (start, end time.Time, err error) {
	date := func(year, month, day int) time.Time {
		return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	}
	for _, layout := range []struct {
		text                string
		years, months, days int
	}{{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {"2006-01-02", 0, 0, 1}} {
		if t, err := time.Parse(layout.text, text); err == nil {
			y, m, d := t.Date()
			return t, date(y+layout.years, int(m)+layout.months, d+layout.days), nil
		}
	}
	year, n, ok := numbered(text, "-Q", 1)
	if ok && n >= 1 && n <= 4 {
		return date(year, 3*n-2, 1), date(year, 3*n+1, 1), nil
	}
	year, n, ok = numbered(text, "-W", 2)
	if ok && n >= 1 {
		// The week of 4 January is the first (ISO 8601); weeks begin on Monday.
		monday := 4 - (int(date(year, 1, 4).Weekday())+6)%7 + 7*(n-1)
		if _, week := date(year, 1, monday).ISOWeek(); week == n {
			return date(year, 1, monday), date(year, 1, monday+7), nil
		}
	}
	return start, end, fmt.Errorf("period %.64q: want 2026, 2026-Q2, 2026-05, 2026-W07, 2026-05-17, or two with .. between", text)
}

// numbered reads `<year><mark><number>` with a year of four digits.
func numbered(text, mark string, digits int) (year, n int, ok bool) {
	if len(text) != 4+len(mark)+digits || text[4:4+len(mark)] != mark {
		return 0, 0, false
	}
	all := text[:4] + text[4+len(mark):]
	for i := range len(all) {
		c := int(all[i]) - '0'
		if c < 0 || c > 9 {
			return 0, 0, false
		}
		if i < 4 {
			year = year*10 + c
		} else {
			n = n*10 + c
		}
	}
	return year, n, true
}
