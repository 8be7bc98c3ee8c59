package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/importer"
	"github.com/daybook-ledger/daybook/client/mapping"
	"github.com/daybook-ledger/daybook/client/mapping/sample"
)

// demoImport is what the demo imported.
type demoImport struct {
	// total of all samples.
	total importer.Summary
}

// importSamples imports the sample of each mapping over gRPC, and prints a line
// for each. After the first one it calls early.
func importSamples(ctx context.Context, w io.Writer, c *client.Client, early func() error) (*demoImport, error) {
	d := &demoImport{}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "  format\trecords\tnew\tthere before\tskipped\tpairs\t")
	for i, name := range mapping.Names() {
		summary, err := d.importSample(ctx, c, name)
		if err != nil {
			return nil, fmt.Errorf("importing the sample of %s: %w", name, err)
		}
		records := summary.Accepted + summary.Duplicates + summary.Skipped
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%d\t\n", name, thousands(records), thousands(summary.Accepted),
			thousands(summary.Duplicates), thousands(summary.Skipped), len(summary.Pairs))
		d.total.Add(summary)
		if i == 0 {
			if err := early(); err != nil {
				return nil, err
			}
		}
	}
	return d, table.Flush()
}

// importSample imports one sample.
func (d *demoImport) importSample(ctx context.Context, c *client.Client, name string) (*importer.Summary, error) {
	m, err := mapping.Find(name)
	if err != nil {
		return nil, err
	}
	fileName, packed, err := sample.File(name)
	if err != nil {
		return nil, err
	}
	f, err := importer.New(fileName, bytes.NewReader(packed), m)
	if err != nil {
		return nil, err
	}
	return importer.Run(ctx, c, f, importer.Options{})
}

// printPairs prints the pairs of different domains with the most accesses, and
// how all accesses were judged.
func (d *demoImport) printPairs(w io.Writer, most int) error {
	var between []importer.Pair
	for _, p := range d.total.Pairs {
		if p.Source != p.Target {
			between = append(between, p)
		}
	}
	fmt.Fprintf(w, "Pairs of domains with accesses between them (%d of %d)\n", min(most, len(between)), len(between))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  source\ttarget\taccesses\tdenied")
	for _, p := range between[:min(most, len(between))] {
		denied := ""
		if p.Denied > 0 {
			denied = thousands(p.Denied)
		}
		fmt.Fprintf(table, "  %s\t%s\t%8s\t%6s\n", p.Source, p.Target, thousands(p.Entries), denied)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	words := make([]string, 0, len(d.total.Verdicts))
	for _, v := range d.total.Verdicts {
		words = append(words, thousands(v.Entries)+" "+v.Verdict)
	}
	_, err := fmt.Fprintf(w, "  verdicts: %s\n\n", strings.Join(words, ", "))
	return err
}

// thousands writes a number with commas, as in 2,530.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
