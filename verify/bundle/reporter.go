package bundle

import (
	"fmt"
	"io"

	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// A reporter words what a pass proves.
type reporter interface {
	Answer(*report.Answer) error
	Alert(*report.Alert) error
	LogClose(*report.Close) error
	Finish(*report.Summary) error
}

func newReporter(head *report.Head, sink report.Sink) (reporter, error) {
	return &plain{sink: sink}, nil
}

type plain struct {
	sink  report.Sink
	lines []byte
}

func (p *plain) Answer(a *report.Answer) error {
	p.lines = fmt.Appendf(p.lines, "%d %s %s %x\n", a.Entry.Place.Index, a.Entry.Place.Source, a.Entry.Place.Target, a.Leaf[:4])
	return nil
}
func (p *plain) Alert(a *report.Alert) error  { return nil }
func (p *plain) LogClose(*report.Close) error { return nil }
func (p *plain) Finish(s *report.Summary) error {
	for _, name := range []string{"README.txt", "report.html"} {
		w, err := p.sink.Create(name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, fmt.Sprintf("%v %v\n%s", s.Claims, s.Runs, p.lines)); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}
