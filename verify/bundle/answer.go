package bundle

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/canonical"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// maxParts bounds the parts of a split bundle.
const maxParts = 999

// An answer says what part of the answer a bundle is, and of which checkpoint.
//
//	{
//	  "format": "daybook-answer/v1",
//	  "origin": "demo.invalid/log-0badcafe",
//	  "size": 61,
//	  "close": 57,
//	  "cut": 55,
//	  "part": 1,
//	  "parts": 1,
//	  "first": 0,
//	  "end": 55,
//	  "runs_first": 0,
//	  "runs_end": 55,
//	  "domains": [
//	    "web"
//	  ],
//	  "runs": [
//	    {
//	      "producer": "spiffe://web/gateway",
//	      "run": "00ff..."
//	    }
//	  ]
//	}
//
// close and cut are absent in the scopes range and log where there is no close;
// runs_first, runs_end, domains and runs are absent there always.
type answer struct {
	Format    string   `json:"format"`
	Origin    string   `json:"origin"`
	Size      uint64   `json:"size"`
	Close     *uint64  `json:"close"`
	Cut       *uint64  `json:"cut"`
	Part      int      `json:"part"`
	Parts     int      `json:"parts"`
	First     uint64   `json:"first"`
	End       uint64   `json:"end"`
	RunsFirst *uint64  `json:"runs_first"`
	RunsEnd   *uint64  `json:"runs_end"`
	Domains   []string `json:"domains"`
	Runs      []runID  `json:"runs"`
}

// A runID names a run.
type runID struct {
	Producer string `json:"producer"`
	Run      string `json:"run"` // lower-case hex
}

func (r runID) compare(o runID) int {
	return cmp.Or(strings.Compare(r.Producer, o.Producer), strings.Compare(r.Run, o.Run))
}

func (a *answer) document() []byte {
	var w canonical.Writer
	w.Open('{')
	w.Key("format")
	w.String(formatAnswer)
	w.Key("origin")
	w.String(a.Origin)
	number := func(name string, n *uint64) {
		if n != nil {
			w.Key(name)
			w.Uint(*n)
		}
	}
	part, parts := uint64(a.Part), uint64(a.Parts)
	number("size", &a.Size)
	number("close", a.Close)
	number("cut", a.Cut)
	number("part", &part)
	number("parts", &parts)
	number("first", &a.First)
	number("end", &a.End)
	number("runs_first", a.RunsFirst)
	number("runs_end", a.RunsEnd)
	if len(a.Domains) > 0 {
		w.Key("domains")
		w.Open('[')
		for _, d := range a.Domains {
			w.String(d)
		}
		w.Close(']')
	}
	if len(a.Runs) > 0 {
		w.Key("runs")
		w.Open('[')
		for _, r := range a.Runs {
			w.Open('{')
			w.Key("producer")
			w.String(r.Producer)
			w.Key("run")
			w.String(r.Run)
			w.Close('}')
		}
		w.Close(']')
	}
	w.Close('}')
	return w.Document()
}

func parseAnswer(document []byte, q *question.Question) (*answer, error) {
	if err := newer(document, formatAnswer); err != nil {
		return nil, err
	}
	a, err := canonical.Parse(document, (*answer).document)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Size == 0 || a.Size > verify.MaxSize:
		return nil, fmt.Errorf("size %d", a.Size)
	case a.Part < 1 || a.Parts > maxParts || a.Part > a.Parts:
		return nil, fmt.Errorf("part %d of %d", a.Part, a.Parts)
	case a.First > a.End || a.End > a.Size:
		return nil, fmt.Errorf("window [%d, %d) of a log of %d", a.First, a.End, a.Size)
	case (a.Close == nil) != (a.Cut == nil):
		return nil, fmt.Errorf("close and cut go together")
	case a.Close != nil && (*a.Close >= a.Size || *a.Cut > *a.Close):
		return nil, fmt.Errorf("close %d with cut %d in a log of %d", *a.Close, *a.Cut, a.Size)
	}
	if q.Tiles() {
		return a, a.checkTiles(q)
	}
	return a, a.checkStreams()
}

func (a *answer) checkTiles(q *question.Question) error {
	switch {
	case a.RunsFirst != nil || a.RunsEnd != nil || a.Domains != nil || a.Runs != nil:
		return fmt.Errorf("a range or a whole log has no runs here")
	case q.Range != nil && a.Close != nil:
		return fmt.Errorf("a range shows no close")
	case q.Log && (a.Parts != 1 || a.First != 0 || a.End != a.Size):
		return fmt.Errorf("window [%d, %d) is not the whole log of %d", a.First, a.End, a.Size)
	case q.Range != nil && (a.First < q.Range.First || a.End > q.Range.End || a.First == a.End):
		return fmt.Errorf("window [%d, %d) is not in the range", a.First, a.End)
	case q.Range != nil && (a.Part == 1 && a.First != q.Range.First || a.Part == a.Parts && a.End != q.Range.End):
		return fmt.Errorf("window [%d, %d) of part %d of %d does not reach the end of the range", a.First, a.End, a.Part, a.Parts)
	}
	return nil
}

func (a *answer) checkStreams() error {
	switch {
	case a.Close == nil || a.RunsFirst == nil || a.RunsEnd == nil:
		return fmt.Errorf("close, cut, runs_first or runs_end is missing")
	case a.End > *a.Cut || a.Part == 1 != (a.First == 0) || a.Part == a.Parts != (a.End == *a.Cut):
		return fmt.Errorf("window [%d, %d) of part %d of %d below the cut %d", a.First, a.End, a.Part, a.Parts, *a.Cut)
	case *a.RunsFirst > *a.RunsEnd || *a.RunsEnd > *a.Cut:
		return fmt.Errorf("window [%d, %d) of runs below the cut %d", *a.RunsFirst, *a.RunsEnd, *a.Cut)
	}
	if len(a.Domains) == 0 && (*a.RunsEnd != 0 || len(a.Runs) > 0) {
		return fmt.Errorf("runs, or a window of runs, without a domain")
	}
	for i, d := range a.Domains {
		if d == "" || len(d) > verify.MaxDomain || i > 0 && a.Domains[i-1] >= d {
			return fmt.Errorf("domain %.80q is none, or does not come after the one before", d)
		}
	}
	for i, r := range a.Runs {
		id, err := hex.DecodeString(r.Run)
		if err != nil || len(id) != 32 || strings.ToLower(r.Run) != r.Run || r.Producer == "" || i > 0 && a.Runs[i-1].compare(r) >= 0 {
			return fmt.Errorf("run %.80q of %.80q is none, or does not come after the one before", r.Run, r.Producer)
		}
	}
	return nil
}
