package question

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/canonical"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// Limits of a question.
const (
	MaxText    = 256     // bytes of a text that people wrote
	MaxStreams = 10_000  // streams by name
	MaxOffsets = 1000    // offsets of a zone
	MaxSize    = 4 << 20 // bytes of a question
)

// Document returns the canonical form of a question: see package canonical. Keys
// stand in the order of the struct.
//
//	{
//	  "format": "daybook-question/v1",
//	  "case": "FINRA-2026-0417",
//	  "from": {
//	    "domain": "web"
//	  },
//	  "period": {
//	    "text": "2026-Q2",
//	    "zone": "UTC",
//	    "by": "logged",
//	    "start": "2026-04-01T00:00:00Z",
//	    "end": "2026-07-01T00:00:00Z",
//	    "offsets": [
//	      {
//	        "from": "0001-01-01T00:00:00Z",
//	        "seconds": 0,
//	        "name": "UTC"
//	      }
//	    ]
//	  }
//	}
func (q *Question) Document() []byte {
	var w canonical.Writer
	w.Open('{')
	w.Key("format")
	w.String(FormatName)
	w.Field("case", q.Case)
	w.Field("item", q.Item)
	w.Field("asked_by", q.AskedBy)
	w.Field("recipient", q.Recipient)
	q.From.write(&w, "from")
	q.To.write(&w, "to")
	if len(q.Streams) > 0 {
		w.Key("streams")
		w.Open('[')
		for _, s := range q.Streams {
			w.String(string(s))
		}
		w.Close(']')
	}
	if q.Range != nil {
		w.Key("range")
		w.Open('{')
		w.Key("first")
		w.Uint(q.Range.First)
		w.Key("end")
		w.Uint(q.Range.End)
		w.Close('}')
	}
	if q.Log {
		w.Key("log")
		w.Bool(true)
	}
	q.Period.write(&w)
	w.Close('}')
	return w.Document()
}

func (s *Selector) write(w *canonical.Writer, name string) {
	if *s == (Selector{}) {
		return
	}
	w.Key(name)
	w.Open('{')
	w.Field("domain", s.Domain)
	w.Field("tier", s.Tier)
	w.Field("function", s.Function)
	w.Field("owner", s.Owner)
	w.Close('}')
}

func (p *Period) write(w *canonical.Writer) {
	if p == nil {
		return
	}
	w.Key("period")
	w.Open('{')
	for _, f := range [][2]string{{"text", p.Text}, {"zone", p.Zone}, {"by", p.By}, {"start", p.Start}, {"end", p.End}} {
		w.Key(f[0])
		w.String(f[1])
	}
	w.Key("offsets")
	w.Open('[')
	for _, o := range p.Offsets {
		w.Open('{')
		w.Key("from")
		w.String(o.From)
		w.Key("seconds")
		w.Int(int64(o.Seconds))
		w.Key("name")
		w.String(o.Name)
		w.Close('}')
	}
	w.Close(']')
	w.Close('}')
}

// Parse reads a canonical question strictly: Document of the result gives the same
// bytes.
func Parse(document []byte) (*Question, error) {
	if len(document) > MaxSize {
		return nil, fmt.Errorf("question: %d bytes, limit %d", len(document), MaxSize)
	}
	var format struct {
		Format string `json:"format"`
	}
	if err := json.NewDecoder(bytes.NewReader(document)).Decode(&format); err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	if strings.HasPrefix(format.Format, "daybook-question/v") && format.Format != FormatName {
		return nil, fmt.Errorf("question of format %.40q: %w", format.Format, verify.ErrNewer)
	}
	q, err := canonical.Parse(document, (*Question).Document)
	if err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	if err := q.Check(); err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	return q, nil
}

// Check says what is wrong with a question; nil: nothing.
func (q *Question) Check() error {
	for _, t := range []struct{ name, text string }{
		{"case", q.Case}, {"item", q.Item}, {"asked_by", q.AskedBy}, {"recipient", q.Recipient},
		{"from.domain", q.From.Domain}, {"from.function", q.From.Function}, {"from.owner", q.From.Owner},
		{"to.domain", q.To.Domain}, {"to.function", q.To.Function}, {"to.owner", q.To.Owner},
	} {
		if err := checkText(t.text); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	for _, s := range []*Selector{&q.From, &q.To} {
		if s.Tier != "" && tierOf(s.Tier) == 0 {
			return fmt.Errorf("tier %q: want production, staging, test or development", s.Tier)
		}
	}
	if err := q.checkScope(); err != nil {
		return err
	}
	return q.Period.check()
}

func (q *Question) checkScope() error {
	scopes := 0
	for _, set := range []bool{q.From != Selector{} || q.To != Selector{}, len(q.Streams) > 0, q.Range != nil, q.Log} {
		if set {
			scopes++
		}
	}
	switch {
	case scopes > 1:
		return errors.New("more than one of from and to, streams, range, log")
	case q.Range != nil && (q.Range.First >= q.Range.End || q.Range.End > verify.MaxSize):
		return fmt.Errorf("range [%d, %d) is none", q.Range.First, q.Range.End)
	case (q.Range != nil || q.Log) && q.Period != nil:
		return errors.New("a range and a whole log have no period")
	case len(q.Streams) > MaxStreams:
		return fmt.Errorf("%d streams, limit %d", len(q.Streams), MaxStreams)
	}
	last := verify.StreamKey("")
	for _, s := range q.Streams {
		key, err := s.Key()
		if err != nil {
			return err
		}
		if key <= last {
			return fmt.Errorf("stream %s does not come after the one before", s)
		}
		last = key
	}
	return nil
}

// Tiles tells whether the answer is a plain tlog-tiles directory: the scopes range
// and log.
func (q *Question) Tiles() bool { return q.Range != nil || q.Log }

// checkText refuses what is no short line of text.
func checkText(s string) error {
	if len(s) > MaxText {
		return fmt.Errorf("%d bytes, limit %d", len(s), MaxText)
	}
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return errors.New("has a control character")
		}
	}
	return nil
}

// tierOf returns the tier that a word names; 0: none.
func tierOf(word string) daybookv1.Tier {
	for v := range daybookv1.Tier_name {
		if v != 0 && domains.Word(daybookv1.Tier(v)) == word {
			return daybookv1.Tier(v)
		}
	}
	return 0
}
