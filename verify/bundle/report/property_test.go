package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// nasty are characters that break bad writers.
var nasty = []string{"<", ">", "&", "\"", "'", "=", "+", "-", "@", "\t", "\r", "\n", "\r\n", ",", ";", "\\", "\x00", "\u0085", "\u202e", "\u2028", "\ufeff", "“", "”",
	"{{", "}}", "{{#case}}", "é", "日本", "😀", "</td></table>", "<script>", "<!--", "-->", "]]>", "javascript:", "0x", "a", " ", "word"}

func nastyText(r *rand.Rand, most int) string {
	var b strings.Builder
	for range 1 + r.IntN(8) {
		b.WriteString(nasty[r.IntN(len(nasty))])
	}
	s := b.String()
	for len(s) > most || !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// poison puts texts into every string field of a message, and of those in it.
func poison(m protoreflect.Message, text func() string) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList():
			for i := range v.List().Len() {
				if f.Kind() == protoreflect.MessageKind {
					poison(v.List().Get(i).Message(), text)
				} else if f.Kind() == protoreflect.StringKind {
					v.List().Set(i, protoreflect.ValueOfString(text()))
				}
			}
		case f.Kind() == protoreflect.MessageKind:
			poison(v.Message(), text)
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(text()))
		case f.Kind() == protoreflect.BytesKind:
			m.Set(f, protoreflect.ValueOfBytes([]byte(text())))
		}
		return true
	})
}

// poisonWriter writes the full scene with every text from outside replaced.
func poisonWriter(t testing.TB, sink Sink, text func() string) error {
	in := fullScene(t)
	head := in.head(t)
	q := *head.Question
	q.Case, q.Item, q.AskedBy, q.Recipient, q.From.Tier, q.From.Owner = text(), text(), text(), text(), text(), text()
	period := *q.Period
	period.Text, period.Zone = text(), text()
	q.Period, head.Question, head.Origin = &period, &q, text()
	head.Checkpoint.Witnesses[0].Name = text()
	w, err := NewWriter(head, sink)
	if err != nil {
		return err
	}
	for i := range in.Answers {
		a := in.Answers[i].parse(t)
		poison(a.Event.ProtoReflect(), text)
		if a.Grounds.Flow != nil {
			poison(a.Grounds.Flow.ProtoReflect(), text)
		}
		if a.Grounds.Approval != nil {
			poison(a.Grounds.Approval.Body.ProtoReflect(), text)
		}
		a.Entry.Head.Producer = text()
		a.Entry.Place.Source, a.Entry.Place.Target = fmt.Sprint(text(), i), fmt.Sprint(text(), i) // as many pairs whatever the text
		if err := w.Answer(a); err != nil {
			return err
		}
	}
	for _, hexed := range in.Alerts {
		e := parseEntry(t, hexed)
		a := &Alert{Entry: e, Alert: parse(t, fmt.Sprintf("%x", e.Body), new(daybookv1.Alert))}
		poison(a.Alert.ProtoReflect(), text)
		if err := w.Alert(a); err != nil {
			return err
		}
	}
	for _, hexed := range in.Closes {
		e := parseEntry(t, hexed)
		if err := w.LogClose(&Close{Entry: e, Close: parse(t, fmt.Sprintf("%x", e.Body), new(daybookv1.Close))}); err != nil {
			return err
		}
	}
	s := in.summary(t, head)
	for i := range s.Claims {
		s.Claims[i].Detail = text()
	}
	for i := range s.Runs {
		s.Runs[i].Producer, s.Runs[i].Reason = text(), text()
	}
	for i := range s.Approvals {
		poison(s.Approvals[i].Body.ProtoReflect(), text)
	}
	return w.Finish(s)
}

var (
	tags     = regexp.MustCompile(`<[^>]*>`)
	entities = regexp.MustCompile(`&(amp|lt|gt|#34|#39);`)
)

// TestNothingBreaksOutOfThePage compares the tags of a page whose every text from
// outside is hostile with those of one whose texts are harmless.
func TestNothingBreaksOutOfThePage(t *testing.T) {
	page := func(text func() string) string {
		sink := newMemory()
		if err := poisonWriter(t, sink, text); err != nil {
			t.Fatal(err)
		}
		return sink.files["report.html"].String()
	}
	want := tags.FindAllString(page(func() string { return "harmless" }), -1)
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		got := page(func() string { return nastyText(r, 60) + "x" }) // never empty
		if found := tags.FindAllString(got, -1); !slices.Equal(found, want) {
			t.Fatalf("seed %d: the page's tags differ", seed)
		}
		body := got[strings.Index(got, "<body>"):]
		if rest := entities.ReplaceAllString(tags.ReplaceAllString(body, ""), ""); strings.ContainsAny(rest, "<>&\"\x00\u202e\u2028") {
			t.Fatalf("seed %d: something is not escaped", seed)
		}
	}
}

// TestTablesReadBack reads CSV with encoding/csv and JSON lines with encoding/json:
// both have the values that were in the entries.
func TestTablesReadBack(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		sink := newMemory()
		if err := poisonWriter(t, sink, func() string { return nastyText(r, 60) + "x" }); err != nil {
			t.Fatal(err)
		}
		for name, file := range sink.files {
			if strings.HasSuffix(name, ".csv") {
				readCSV(t, name, file.Bytes())
			}
		}
		rows := readCSV(t, "accesses", sink.files["data/accesses-001.csv"].Bytes())
		lines := bytes.Split(bytes.TrimSuffix(sink.files["data/accesses-001.jsonl"].Bytes(), []byte("\n")), []byte("\n"))
		if len(lines) != len(rows)-1 {
			t.Fatalf("%d lines of JSON, %d of CSV", len(lines), len(rows)-1)
		}
		for i, line := range lines {
			compareLine(t, rows[0], rows[i+1], line)
		}
	}
}

// readCSV reads a table and checks that no field of it can be a formula.
func readCSV(t *testing.T, name string, b []byte) [][]string {
	t.Helper()
	b, ok := bytes.CutPrefix(b, []byte("\ufeff"))
	if !ok {
		t.Fatalf("%s has no byte order mark", name)
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if lines := bytes.Count(b, []byte("\r\n")); lines != len(rows) || bytes.Count(b, []byte("\n")) != lines || bytes.Count(b, []byte("\r")) != lines {
		t.Fatalf("%s: %d rows on %d lines", name, len(rows), lines)
	}
	for _, row := range rows {
		for _, field := range row {
			if field != "" && strings.ContainsAny(field[:1], "=+-@\t\r") {
				t.Fatalf("%s: %q is a formula", name, field)
			}
		}
	}
	return rows
}

// compareLine compares a line of JSON with the row of CSV of the same access.
func compareLine(t *testing.T, names, row []string, line []byte) {
	t.Helper()
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	for i, name := range names {
		field := strings.TrimPrefix(row[i], "'")
		want := ""
		switch v := object[name].(type) {
		case string:
			want = show(v, "")
		case json.Number:
			want = v.String()
		case bool:
			want = map[bool]string{true: "yes", false: "no"}[v]
		case nil:
			if field == withheld {
				want = withheld
			}
		default: // an object or an array
			continue
		}
		if field != want {
			t.Fatalf("%s is %q in CSV, %q in JSON", name, field, want)
		}
	}
}

// TestFilesAreCut lets files of accesses have few lines.
func TestFilesAreCut(t *testing.T) {
	sink := newMemory()
	in := fullScene(t)
	in.write(t, sink, func(w *Writer) { w.maxLines = 6 })
	var all int
	for n := 1; n <= 4; n++ {
		rows := readCSV(t, "accesses", sink.files[fmt.Sprintf("data/accesses-%03d.csv", n)].Bytes())
		lines := bytes.Count(sink.files[fmt.Sprintf("data/accesses-%03d.jsonl", n)].Bytes(), []byte("\n"))
		if len(rows) > 6 || lines != len(rows)-1 {
			t.Errorf("file %d has %d rows and %d lines", n, len(rows), lines)
		}
		all += lines
	}
	if all != len(in.Answers) || sink.files["data/accesses-005.csv"] != nil {
		t.Errorf("%d of %d accesses", all, len(in.Answers))
	}
	if n := bytes.Count(sink.files["report.html"].Bytes(), []byte("as entry 100.")); n != 1 {
		t.Errorf("the first access stands %d times in the report", n)
	}
}

// TestEmptyAnswer has tables without rows, and no JSON lines.
func TestEmptyAnswer(t *testing.T) {
	sink := newMemory()
	emptyScene(t).write(t, sink, nil)
	for _, name := range []string{"data/accesses-001.csv", "data/alerts.csv", "data/approvals.csv", "data/closes.csv", "data/runs.csv"} {
		if rows := readCSV(t, name, sink.files[name].Bytes()); len(rows) != 1 {
			t.Errorf("%s has %d rows", name, len(rows))
		}
	}
	if sink.files["data/accesses-001.jsonl"] != nil {
		t.Error("there are JSON lines of no access")
	}
	page := sink.files["report.html"].String()
	for _, want := range []string{"DEMO. This log", "DEMO. Log", "The answer is zero", "2 of 3"} {
		if !strings.Contains(page, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

// failing is a sink whose n-th operation fails.
type failing struct {
	left int
}

var errFull = errors.New("full")

func (f *failing) step() error {
	if f.left--; f.left < 0 {
		return errFull
	}
	return nil
}

func (f *failing) Create(string) (io.WriteCloser, error) { return f, f.step() }
func (f *failing) Write(p []byte) (int, error)           { return len(p), f.step() }
func (f *failing) Close() error                          { return f.step() }

// TestEveryFailureIsReturned fails each operation of a sink in turn.
func TestEveryFailureIsReturned(t *testing.T) {
	for n := 0; ; n++ {
		sink := &failing{left: n}
		err := poisonWriter(t, sink, func() string { return "text" })
		if err == nil {
			if n < 20 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
		if !errors.Is(err, errFull) {
			t.Fatalf("operation %d: %v", n, err)
		}
	}
}

// TestPageIsSealed checks that the page brings nothing in and runs nothing.
func TestPageIsSealed(t *testing.T) {
	for _, want := range []string{`content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"`, `<html lang="en">`, "@media print"} {
		if !strings.Contains(reportFile, want) {
			t.Errorf("report.html lacks %s", want)
		}
	}
	for _, never := range []string{"<script", "<link", "<img", "<iframe", "src=", "href=", "url(", "@import", "onclick", "onload", "http://", "https://"} {
		if strings.Contains(reportFile, never) {
			t.Errorf("report.html has %s", never)
		}
	}
}

// TestWordsAreWhole checks that the words have every value of every enum they speak
// of, and that the templates name nothing that is not there.
func TestWordsAreWhole(t *testing.T) {
	w, err := readWords()
	if err != nil {
		t.Fatal(err)
	}
	for pick, e := range map[string]protoreflect.Enum{"subject": daybookv1.ActorType(0), "proof": daybookv1.SourceProof(0), "hand": daybookv1.Provenance(0), "seen": daybookv1.Side(0),
		"verdict": daybookv1.Verdict(0), "alert": daybookv1.AlertType(0), "approved": daybookv1.ApprovalSubject(0)} {
		values := e.Descriptor().Values()
		for i := range values.Len() {
			word := domains.Word(e.Type().New(values.Get(i).Number()))
			if word == "" {
				continue
			}
			if _, ok := w.Picks[pick][word]; !ok {
				t.Errorf("pick %s has no %s", pick, word)
			}
			if pick == "verdict" && w.groups[word] == "" {
				t.Errorf("verdict %s has no group", word)
			}
		}
	}
	for _, table := range w.Tables {
		for _, name := range namesOf(w, table.sentence) {
			if _, ok := table.index[name]; !ok {
				t.Errorf("the sentence of %s names %s, which is no column", table.Name, name)
			}
		}
	}
}

// TestModelsHaveEveryName checks that the models of the scenes together have every
// name that report.html and README.txt use.
func TestModelsHaveEveryName(t *testing.T) {
	known := map[string]bool{}
	var w *Writer
	for _, c := range scenes(t) {
		c.world.write(t, newMemory(), func(writer *Writer) { w = writer })
		known["."] = true
		collect(w.model(c.world.summary(t, w.head)), known)
	}
	for _, name := range slices.Concat(namesOf(w.words, w.words.report), namesOf(w.words, w.words.readme)) {
		for part := range strings.SplitSeq(name, ".") {
			if !known[part] {
				t.Errorf("%s is in no model", name)
			}
		}
	}
}

func collect(v value, known map[string]bool) {
	switch v := v.(type) {
	case fields:
		for name, inner := range v {
			known[name] = true
			collect(inner, known)
		}
	case []scope:
		for _, s := range v {
			collect(s, known)
		}
	}
}

// namesOf returns the names in a template and in what it picks, but for picks of
// other scopes.
func namesOf(w *words, nodes []node) (names []string) {
	for _, n := range nodes {
		switch n.op {
		case 't':
			continue
		case '>':
			for _, picked := range w.picks[n.table] {
				names = append(names, namesOf(w, picked)...)
			}
			if w.picks[n.table] == nil {
				names = append(names, "pick "+n.table)
			}
		}
		names = append(append(names, n.text), namesOf(w, n.body)...)
	}
	return names
}

// TestTextForms has the forms of doc.go.
func TestTextForms(t *testing.T) {
	long := strings.Repeat("é", 201)
	for _, c := range [][2]string{
		{show("a\tb", ""), "a<U+0009>b"}, {show("\U000e0041", ""), "<U+E0041>"}, {show("\xff", ""), "<0xff>"}, {show("“q”", ""), "“q”"},
		{phrase("“q”"), "<U+201C>q<U+201D>"}, {phrase(long), strings.Repeat("é", 197) + "..."}, {phrase(long[2:]), long[2:]},
		{bytesText([]byte("0xab")), "0x30786162"}, {bytesText([]byte("ab c")), "ab c"}, {bytesText([]byte("é")), "0xc3a9"},
		{utc(-1), "1969-12-31T23:59:59.999999999Z"}, {human(utc(0)), "1970-01-01 00:00:00 UTC"}, {human(utc(120)), "1970-01-01 00:00:00.000000120 UTC"},
		{local(0, []offset{{from: 5, seconds: -17762}}), "1969-12-31T19:03:58.000000000-04:56:02"}, {local(0, []offset{{-9, 0}, {0, 5400}, {1, 1}}), "1970-01-01T01:30:00.000000000+01:30"},
		{human(local(5e6, []offset{{-9, 3600}})), "1970-01-01 01:00:00.005 +01:00"}, {local(0, nil), ""},
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(1234567), "1,234,567"}, {grouped(100000), "100,000"},
		{string(appendCSV(nil, "'a")), "''a"}, {string(appendCSV(nil, `=a"`)), `"'=a"""`}, {string(appendCSV(nil, "a,b")), `"a,b"`},
		{string(appendJSON(nil, "\x1f\"\\\x7fé")), "\"\\u001f\\\"\\\\\x7fé\""},
	} {
		if c[0] != c[1] {
			t.Errorf("%q, want %q", c[0], c[1])
		}
	}
}

// FuzzTemplate renders any text that is a template.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"{{a}}", "{{#l}}{{b}}{{^c}}x{{/c}}{{/l}}", "{{>p a}}", "{{", "{{/a}}", "{{#a}}", "{{a.b.c}}{{#a.n}}{{/a.n}}", reportFile[:200]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		nodes, err := parseTemplate(text)
		if err != nil {
			return
		}
		r := renderer{tables: map[string]map[string][]node{"p": {"*": nil}}, html: true}
		r.render(nodes, []scope{fields{"a": count(3), "b": "<b>", "l": []scope{fields{"c": true}, fields{}}}})
		if !strings.Contains(text, "{{") && string(r.out) != text {
			t.Errorf("%q became %q", text, r.out)
		}
	})
}

// FuzzAccess words any event that the ledger would take, and any bytes as the
// strings around it.
func FuzzAccess(f *testing.F) {
	for _, a := range fullScene(f).Answers {
		f.Add(unhex(f, a.Entry), "text", int64(5), uint8(1))
	}
	f.Fuzz(func(t *testing.T, entry []byte, text string, ns int64, section uint8) {
		e, err := verify.ParseEntry(entry)
		if err != nil {
			return
		}
		if _, err := verify.ParseEvent(e.Body); err != nil {
			return
		}
		a := &Answer{Entry: &e, Event: parse(t, fmt.Sprintf("%x", e.Body), new(daybookv1.Event)), Section: Section(section),
			Grounds: domains.Grounds{Flow: &daybookv1.Flow{Id: text, Purpose: text}, Approval: &domains.Approved{LogTimeNS: ns, Body: &daybookv1.Approval{Id: text, Approver: text}}}}
		q := &question.Question{Case: text, Period: &question.Period{Text: text, Zone: text, Start: text, End: text, Offsets: []question.Offset{{From: "0001-01-01T00:00:00Z", Seconds: int(ns % 1e6)}}}}
		sink := newMemory()
		w, err := NewWriter(&Head{Question: q, Origin: text, Policy: []byte(text)}, sink)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Answer(a); err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(&Summary{Claims: []Claim{{Name: text, State: State(text), Detail: text}}}); err != nil {
			t.Fatal(err)
		}
		rows := readCSV(t, "accesses", sink.files["data/accesses-001.csv"].Bytes())
		if utf8.ValidString(text) {
			compareLine(t, rows[0], rows[1], sink.files["data/accesses-001.jsonl"].Bytes())
		}
	})
}
