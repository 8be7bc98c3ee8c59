package question_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// TestPeriods reads periods in words.
func TestPeriods(t *testing.T) {
	for _, c := range []struct{ text, zone, start, end string }{
		{"2026", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"2026-Q2", "UTC", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"},
		{"2026-Q2", "America/New_York", "2026-04-01T04:00:00Z", "2026-07-01T04:00:00Z"},
		{"2026-Q4", "America/New_York", "2026-10-01T04:00:00Z", "2027-01-01T05:00:00Z"},
		{"2026-05", "UTC", "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"},
		{"2026-12", "UTC", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"2026-03-08", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"}, // 23 hours
		{"2026-W01", "UTC", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"},
		{"2026-W53", "UTC", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"},
		{"2026-05-17..2026-05-18", "UTC", "2026-05-17T00:00:00Z", "2026-05-19T00:00:00Z"},
		{"2025-Q4..2026-Q1", "UTC", "2025-10-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{"2026-05-17T09:30:00-04:00..2026-05-17T16:00:00-04:00", "UTC", "2026-05-17T13:30:00Z", "2026-05-17T20:00:00Z"},
	} {
		q, err := question.Read([]byte("period: "+c.text+"\nzone: "+c.zone+"\n"), time.LoadLocation)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if q.Period.Start != c.start || q.Period.End != c.end || q.Period.Text != c.text {
			t.Errorf("%s in %s is [%s, %s), want [%s, %s)", c.text, c.zone, q.Period.Start, q.Period.End, c.start, c.end)
		}
	}
	for _, text := range []string{"", "26", "2026-Q5", "2026-Q0", "2025-W53", "2026-W00", "2026-13", "2026-02-30", "2026-05-18..2026-05-17", "1969", "2200", "2026-5", "2026-05-17T00:00:00Z", "yesterday"} {
		if q, err := question.Read([]byte("period: {text: '"+text+"', zone: UTC}\n"), nil); err == nil {
			t.Errorf("%q is [%s, %s)", text, q.Period.Start, q.Period.End)
		}
	}
}

// TestOffsets tells local time from the question alone, as the zone's own rules do.
func TestOffsets(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	q, err := question.Read([]byte("period: 2026-Q2\nzone: America/New_York\nby: occurred\n"), time.LoadLocation)
	if err != nil {
		t.Fatal(err)
	}
	for at := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2027; at = at.Add(37 * time.Minute) {
		name, seconds := at.In(zone).Zone()
		if s, n := q.Local(at.UnixNano()); s != seconds || n != name {
			t.Fatalf("%v: %d %s, want %d %s", at, s, n, seconds, name)
		}
	}
}

// TestRead reads what people write and refuses what is not meant.
func TestRead(t *testing.T) {
	q, err := question.Read([]byte("case: C-1\nitem: 7\nfrom: web\nto: {tier: production, owner: Trading}\nperiod: 2026-05-17\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if q.Item != "7" || q.From.Domain != "web" || q.To.Tier != "production" || q.To.Owner != "Trading" || q.Period.By != question.ByLogged {
		t.Errorf("read %+v", q)
	}
	again, err := question.Read(q.Document(), nil)
	if err != nil || !bytes.Equal(again.Document(), q.Document()) {
		t.Errorf("the canonical form reads as %v", err)
	}
	for _, text := range []string{"", "from: web\nlog: true\n", "form: web\n", "to: {teir: test}\n", "to: {tier: prod}\n", "range: {first: 2, end: 2}\n",
		"log: true\nperiod: 2026\n", "zone: UTC\n", "streams: ['acces,a,b']\n", "streams: ['access,a,b', 'access,a,b']\n", "case: \"a\\nb\"\n", "case: " + strings.Repeat("x", 257) + "\n",
		"period: 2026\nzone: Mars/Base\n", "period: 2026\nzone: Local\n", "log: true\n---\nlog: true\n", "period: 2026\nby: heard\n"} {
		if _, err := question.Read([]byte(text), time.LoadLocation); err == nil {
			t.Errorf("taken: %q", text)
		}
	}
}

// TestStreams names streams.
func TestStreams(t *testing.T) {
	for _, s := range []question.Stream{"access,web,prod-db,target", "access,web,prod-db,target,late", "access,a,b", "alert,,", "run-opened,web,"} {
		key, err := s.Key()
		if err != nil || question.FormatStream(key) != s {
			t.Errorf("%s: %v, %s", s, err, question.FormatStream(key))
		}
	}
	for _, s := range []question.Stream{"", "access", "access,a", "access,a,b,late,target", "access,a,b,", "Access,a,b", "21,a,b", "access,a,b,c", ",a,b"} {
		if _, err := s.Key(); err == nil {
			t.Errorf("taken: %s", s)
		}
	}
}

// FuzzParse: what is taken has one encoding.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"period: 2026-Q2\n", "from: web\ncase: \"x \\\\ y\"\n", "range: {first: 1, end: 9}\n", "log: true\n", "streams: ['alert,,']\n"} {
		q, err := question.Read([]byte(text), nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(q.Document())
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		q, err := question.Parse(document)
		if err != nil {
			return
		}
		if !bytes.Equal(q.Document(), document) {
			t.Errorf("formats as %q", q.Document())
		}
		q.Logged()
		q.Local(0)
	})
}

// FuzzRead: what is read has a canonical form that reads the same, with the offsets
// of its zone.
func FuzzRead(f *testing.F) {
	for _, text := range []string{"period: 2026-Q2\nzone: UTC\n", "from: {domain: web}\nto: {tier: test}\n", "{\"log\": true}",
		"period: 2026\nzone: America/New_York\n", "period: 2011-12-30\nzone: Pacific/Apia\nby: occurred\n", "period: 1883..2100\nzone: Europe/Dublin\n",
		"period: 2026\nzone: ../../../etc/localtime\n", "period: 0001\nzone: Asia/Kathmandu\n", "period: 2026-W53\nzone: Local\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		q, err := question.Read(text, time.LoadLocation)
		if err != nil {
			return
		}
		again, err := question.Parse(q.Document())
		if err != nil || !bytes.Equal(again.Document(), q.Document()) {
			t.Errorf("canonical form of %q: %v", text, err)
		}
	})
}

// TestZones reads every day of some years in zones that change their clocks at
// midnight, or at odd times: the canonical form holds the text against its times.
func TestZones(t *testing.T) {
	for _, zone := range []string{"America/Sao_Paulo", "Africa/Cairo", "Asia/Beirut", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/London"} {
		for day := time.Date(2017, 6, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2020; day = day.AddDate(0, 0, 1) {
			q, err := question.Read([]byte("period: "+day.Format(time.DateOnly)+"\nzone: "+zone+"\n"), time.LoadLocation)
			if err != nil {
				t.Fatalf("%s in %s: %v", day.Format(time.DateOnly), zone, err)
			}
			q.Period.Text = day.AddDate(0, 0, 1).Format(time.DateOnly)
			if q.Check() == nil {
				t.Fatalf("the day after %s in %s is the same", day.Format(time.DateOnly), zone)
			}
		}
	}
}

// TestPeriodsFarAhead: a zone's offsets end also beyond the years of its table.
func TestPeriodsFarAhead(t *testing.T) {
	for _, zone := range []string{"America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kolkata"} {
		q, err := question.Read([]byte("period: 2026..2100\nzone: "+zone+"\n"), time.LoadLocation)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(q.Period.Offsets); zone == "Asia/Kolkata" && n != 1 || zone != "Asia/Kolkata" && n < 150 {
			t.Errorf("%s has %d offsets", zone, n)
		}
	}
}

// TestOffsetsOfTheZone: bounds that are right do not make local times right.
func TestOffsetsOfTheZone(t *testing.T) {
	read := func() *question.Period {
		q, err := question.Read([]byte("period: 2025\nzone: America/New_York\n"), time.LoadLocation)
		if err != nil {
			t.Fatal(err)
		}
		return q.Period
	}
	if p := read(); p.InZone(time.LoadLocation) != nil || len(p.Offsets) < 3 {
		t.Errorf("as it was made: %v", p.InZone(time.LoadLocation))
	}
	for i := range read().Offsets {
		p := read()
		p.Offsets[i].Seconds += 1800
		if err := p.InZone(time.LoadLocation); err == nil {
			t.Errorf("offset %d half an hour off", i)
		}
		p = read()
		if p.Offsets = slices.Delete(p.Offsets, i, i+1); i == 0 {
			p.Offsets[0].From = "0001-01-01T00:00:00Z"
		}
		if err := p.InZone(time.LoadLocation); err == nil {
			t.Errorf("offset %d left out", i)
		}
	}
}

// TestShiftedOffsets: whoever answers a question may not shift its period by offsets
// that no zone has, and what is left to him shows against a table of zones.
func TestShiftedOffsets(t *testing.T) {
	for _, c := range []struct {
		zone         string
		seconds      int
		start        string
		taken, agree bool
	}{
		{"UTC", 0, "2026-05-17T00:00:00Z", true, true},
		{"UTC", -4 * 3600, "2026-05-17T04:00:00Z", false, false},
		{"Asia/Kolkata", 19800, "2026-05-16T18:30:00Z", true, true},
		{"America/New_York", -4 * 3600, "2026-05-17T04:00:00Z", true, false}, // in winter, too
		{"America/New_York", -23 * 3600, "2026-05-17T23:00:00Z", false, false},
		{"America/New_York", 15 * 3600, "2026-05-16T09:00:00Z", false, false},
		{"America/New_York", -11 * 3600, "2026-05-17T11:00:00Z", true, false},
		{"Mars/Base", -4 * 3600, "2026-05-17T04:00:00Z", true, false},
	} {
		start, err := time.Parse(time.RFC3339, c.start)
		if err != nil {
			t.Fatal(err)
		}
		p := &question.Period{Text: "2026-05-17", Zone: c.zone, By: question.ByLogged, Start: c.start, End: start.Add(24 * time.Hour).Format(time.RFC3339),
			Offsets: []question.Offset{{From: "0001-01-01T00:00:00Z", Seconds: c.seconds, Name: "X"}}}
		q := &question.Question{Format: question.FormatName, Period: p}
		if err := q.Check(); (err == nil) != c.taken {
			t.Errorf("%s at %d: %v", c.zone, c.seconds, err)
		}
		if err := p.InZone(time.LoadLocation); c.taken && (err == nil) != c.agree {
			t.Errorf("%s at %d, by the table: %v", c.zone, c.seconds, err)
		}
	}
}
