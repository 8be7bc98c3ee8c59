package report

import (
	"fmt"
	"io"
)

const (
	// maxLines is how many lines a file of CSV has at most, its header included.
	// The JSON lines of the same accesses are cut at the same places.
	maxLines = 1_000_000
	// maxListed is how many entries a list in the HTML has at most.
	maxListed = 1000
	// flushAt is how many bytes of a member are gathered before they are written.
	flushAt = 64 << 10
)

// A Writer writes what a report consists of into a sink, while the accesses that a
// question asks for pass by. It keeps the first sentences of each list and counts
// by pair and flow, never the accesses. It is not safe for concurrent use.
type Writer struct {
	head     *Head
	sink     Sink
	maxLines int // maxLines, but in tests
	words    *words
	offsets  []offset

	access, alert, logClose *row
	csv, lines              *member // of accesses; nil before the first
	alerts, closes          *member
	files                   int // of accesses, opened so far
	written                 int // lines in the newest of them

	tally tally
}

// NewWriter returns a writer for one report. Alerts, answers and closes may come
// in any mixture; those of one kind ascend by index. An error of a method ends the
// writer: what stands in the sink by then is no report.
func NewWriter(head *Head, sink Sink) (*Writer, error) {
	words, err := readWords()
	if err != nil {
		return nil, err
	}
	w := &Writer{head: head, sink: sink, words: words, maxLines: maxLines}
	if w.offsets, err = offsetsOf(head.Question); err != nil {
		return nil, err
	}
	w.access, w.alert, w.logClose = newRow(words.tables["accesses"]), newRow(words.tables["alerts"]), newRow(words.tables["closes"])
	w.tally.init(words)
	if err := w.nextFile(); err != nil {
		return nil, err
	}
	if w.alerts, err = w.openTable("data/alerts.csv", w.alert.table); err != nil {
		return nil, err
	}
	w.closes, err = w.openTable("data/closes.csv", w.logClose.table)
	return w, err
}

// nextFile begins the next file of accesses.
func (w *Writer) nextFile() (err error) {
	if err := closeAll(w.csv, w.lines); err != nil {
		return err
	}
	w.files++
	w.written, w.lines = 1, nil
	w.csv, err = w.openTable(fmt.Sprintf("data/accesses-%03d.csv", w.files), w.access.table)
	return err
}

func (w *Writer) openTable(name string, t *table) (*member, error) {
	m, err := open(w.sink, name)
	if err == nil {
		m.buf = t.appendHeader(m.buf)
	}
	return m, err
}

// Answer takes the next access.
func (w *Writer) Answer(a *Answer) (err error) {
	if w.written == w.maxLines {
		if err := w.nextFile(); err != nil {
			return err
		}
	}
	if w.lines == nil {
		if w.lines, err = open(w.sink, fmt.Sprintf("data/accesses-%03d.jsonl", w.files)); err != nil {
			return err
		}
	}
	accessRow(w.access, a, w.offsets)
	sentence := w.words.sentenceOf(w.access)
	w.written++
	w.tally.access(a, w.access, sentence)
	w.csv.buf = w.access.appendCSVRow(w.csv.buf)
	w.lines.buf = w.access.appendJSONRow(w.lines.buf)
	if err := w.csv.flush(flushAt); err != nil {
		return err
	}
	return w.lines.flush(flushAt)
}

// Alert takes the next alert.
func (w *Writer) Alert(a *Alert) error {
	alertRow(w.alert, a, w.offsets)
	w.tally.alerts.add(w.alert, w.words.sentenceOf(w.alert), true)
	w.alerts.buf = w.alert.appendCSVRow(w.alerts.buf)
	return w.alerts.flush(flushAt)
}

// LogClose takes the next close of the log.
func (w *Writer) LogClose(c *Close) error {
	closeRow(w.logClose, c, w.offsets)
	w.tally.closes.add(w.logClose, w.words.sentenceOf(w.logClose), false)
	w.closes.buf = w.logClose.appendCSVRow(w.closes.buf)
	return w.closes.flush(flushAt)
}

// Finish writes what can be said at the end, and closes every member.
func (w *Writer) Finish(s *Summary) error {
	if err := closeAll(w.csv, w.lines, w.alerts, w.closes); err != nil {
		return err
	}
	if err := w.whole("data/columns.csv", w.dictionary()); err != nil {
		return err
	}
	if err := w.approvals(s); err != nil {
		return err
	}
	if err := w.runs(s); err != nil {
		return err
	}
	model := w.model(s)
	text, page := renderer{tables: w.words.picks}, renderer{tables: w.words.picks, html: true}
	text.render(w.words.readme, []scope{model})
	if err := w.whole("README.txt", text.out); err != nil {
		return err
	}
	page.render(w.words.report, []scope{model})
	return w.whole("report.html", page.out)
}

func (w *Writer) approvals(s *Summary) error {
	r := newRow(w.words.tables["approvals"])
	m, err := w.openTable("data/approvals.csv", r.table)
	if err != nil {
		return err
	}
	for i := range s.Approvals {
		approvalRow(r, &s.Approvals[i], w.offsets)
		w.tally.approvals.add(r, w.words.sentenceOf(r), false)
		m.buf = r.appendCSVRow(m.buf)
		if err := m.flush(flushAt); err != nil {
			return err
		}
	}
	return m.close()
}

func (w *Writer) runs(s *Summary) error {
	r := newRow(w.words.tables["runs"])
	m, err := w.openTable("data/runs.csv", r.table)
	if err != nil {
		return err
	}
	for i := range s.Runs {
		runRow(r, &s.Runs[i])
		w.tally.runs.add(r, w.words.sentenceOf(r), !s.Runs[i].Proved)
		if s.Runs[i].Proved {
			w.tally.numbered++
		}
		m.buf = r.appendCSVRow(m.buf)
		if err := m.flush(flushAt); err != nil {
			return err
		}
	}
	return m.close()
}

// dictionary returns data/columns.csv.
func (w *Writer) dictionary() []byte {
	out := []byte("\ufefftable,column,type,about\r\n")
	for _, t := range w.words.Tables {
		for _, c := range t.Columns {
			for i, field := range []string{t.Name, c.Name, c.Type, c.About} {
				if i > 0 {
					out = append(out, ',')
				}
				out = appendCSV(out, field)
			}
			out = append(out, '\r', '\n')
		}
	}
	return out
}

func (w *Writer) whole(name string, b []byte) error {
	m, err := open(w.sink, name)
	if err != nil {
		return err
	}
	m.buf = b
	return m.close()
}

// A member is one open member of the sink and what is gathered for it.
type member struct {
	to  io.WriteCloser
	buf []byte
}

func open(sink Sink, name string) (*member, error) {
	to, err := sink.Create(name)
	return &member{to: to}, err
}

// flush writes what is gathered if it is at least so many bytes.
func (m *member) flush(atLeast int) error {
	if len(m.buf) < atLeast {
		return nil
	}
	_, err := m.to.Write(m.buf)
	m.buf = m.buf[:0]
	return err
}

func (m *member) close() error {
	if err := m.flush(1); err != nil {
		return err
	}
	return m.to.Close()
}

func closeAll(members ...*member) error {
	for _, m := range members {
		if m == nil {
			continue
		}
		if err := m.close(); err != nil {
			return err
		}
	}
	return nil
}
