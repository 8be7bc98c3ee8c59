package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/daybook-ledger/daybook/client/importer"
	"github.com/daybook-ledger/daybook/client/mapping"
	"github.com/daybook-ledger/daybook/verify"
)

// importTotal is what `import --json` prints. accepted + duplicates + skipped
// are the records of the files that were imported whole.
type importTotal struct {
	*importer.Summary
	Files           []importedFile `json:"files"`
	Seconds         float64        `json:"seconds"`
	EventsPerSecond float64        `json:"events_per_second"`

	began time.Time
}

// importedFile is one file of an import.
type importedFile struct {
	Name    string `json:"name"`
	SHA256  string `json:"sha256"`
	Records uint64 `json:"records"`
	Run     string `json:"run"`
}

// newImportTotal begins a total, whose lists are empty and not null.
func newImportTotal() *importTotal {
	s := &importer.Summary{Pairs: []importer.Pair{}, Verdicts: []importer.Verdict{}, Reasons: []importer.Reason{}}
	return &importTotal{Summary: s, Files: []importedFile{}, began: time.Now()}
}

// add adds what became of one file.
func (t *importTotal) add(f *importer.File, m *mapping.Mapping, s *importer.Summary) {
	run := verify.ImportRunID(f.Digest, m.Name(), m.Version())
	t.Files = append(t.Files, importedFile{f.Name, hex.EncodeToString(f.Digest[:]), f.Records, hex.EncodeToString(run[:])})
	t.Summary.Add(s)
}

// print prints the summary.
func (f *importFlags) print(w io.Writer, t *importTotal) error {
	t.Seconds = time.Since(t.began).Seconds()
	t.EventsPerSecond = float64(t.Accepted+t.Duplicates) / t.Seconds
	if f.json {
		return printJSON(w, t)
	}
	if len(t.Files) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "entries\tdenied\tsource\ttarget")
	for i, p := range t.Pairs {
		if i == f.pairs {
			fmt.Fprintf(table, "...\t\tand %d more pairs\t\n", len(t.Pairs)-i)
			break
		}
		fmt.Fprintf(table, "%d\t%d\t%s\t%s\n", p.Entries, p.Denied, p.Source, p.Target)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range t.Reasons {
		fmt.Fprintf(w, "skipped %d, of which record %d: %s\n", r.Records, r.First, r.Example)
	}
	_, err := fmt.Fprintf(w, "%d accepted, %d duplicates, %d skipped in %.1f s (%.0f events/s)\n",
		t.Accepted, t.Duplicates, t.Skipped, t.Seconds, t.EventsPerSecond)
	return err
}
