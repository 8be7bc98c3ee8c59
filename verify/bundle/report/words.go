package report

import (
	_ "embed" // the fixed texts
	"encoding/json"
	"fmt"
	"strings"
)

// The fixed texts. Another implementation takes the same three files.
//
//go:embed words/words.json
var wordsFile []byte

//go:embed words/report.html
var reportFile string

//go:embed words/README.txt
var readmeFile string

// A column is one column of a table of data.
type column struct {
	Name  string `json:"name"`
	Type  string `json:"type"`            // text, integer, time, yes/no
	Field uint32 `json:"field,omitempty"` // number of the event's field, by which it can be sealed
	About string `json:"about"`
}

// A table is one table of data, and its sentence.
type table struct {
	Name     string   `json:"name"`
	Columns  []column `json:"columns"`
	Sentence string   `json:"sentence"`

	index    map[string]int
	sentence []node
}

// A verdictWord says of a verdict where a report has it.
type verdictWord struct {
	Name  string `json:"name"`
	Group string `json:"group"` // authorized, denied, not authorized
	About string `json:"about"`
}

// A list is a list of accesses in a report.
type list struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	About string `json:"about"`
}

// words are the fixed texts, ready to use. They are immutable.
type words struct {
	Tables   []*table                     `json:"tables"`
	Verdicts []verdictWord                `json:"verdicts"` // in the order of a report
	Lists    []list                       `json:"lists"`    // of accesses, in the order of a report
	Picks    map[string]map[string]string `json:"picks"`

	tables map[string]*table
	groups map[string]string // of verdicts
	picks  map[string]map[string][]node
	report []node
	readme []node
}

// readWords reads the fixed texts, which are part of the program.
func readWords() (*words, error) {
	w := &words{tables: map[string]*table{}, groups: map[string]string{}, picks: map[string]map[string][]node{}}
	if err := json.Unmarshal(wordsFile, w); err != nil {
		return nil, fmt.Errorf("reading the report's words: %w", err)
	}
	var err error
	for _, t := range w.Tables {
		w.tables[t.Name] = t
		t.index = make(map[string]int, len(t.Columns))
		for i, c := range t.Columns {
			t.index[c.Name] = i
		}
		if t.sentence, err = parseTemplate(t.Sentence); err != nil {
			return nil, fmt.Errorf("sentence of %s: %w", t.Name, err)
		}
	}
	for _, v := range w.Verdicts {
		w.groups[v.Name] = v.Group
	}
	for name, picks := range w.Picks {
		w.picks[name] = make(map[string][]node, len(picks))
		for key, text := range picks {
			if w.picks[name][key], err = parseTemplate(text); err != nil {
				return nil, fmt.Errorf("pick %s of %s: %w", key, name, err)
			}
		}
	}
	if w.report, err = parseTemplate(reportFile); err != nil {
		return nil, fmt.Errorf("report.html: %w", err)
	}
	if w.readme, err = parseTemplate(readmeFile); err != nil {
		return nil, fmt.Errorf("README.txt: %w", err)
	}
	return w, nil
}

// sentenceOf sets the sentence of a row.
func (w *words) sentenceOf(r *row) string {
	out := renderer{tables: w.picks}
	out.render(r.table.sentence, []scope{r})
	s := string(out.out)
	r.set("sentence", said, s)
	return s
}

// withheldBy returns the columns that a sealed number withholds, and their names.
func (t *table) withheldBy(number uint32) (columns []int, names string) {
	var list []string
	for i, c := range t.Columns {
		if c.Field != 0 && (c.Field == number || number < 100 && c.Field/100 == number) {
			columns, list = append(columns, i), append(list, c.Name)
		}
	}
	return columns, strings.Join(list, ", ")
}
