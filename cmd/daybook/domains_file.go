package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// maxMapFile bounds the file of a domain map, in bytes.
const maxMapFile = 16 << 20

// readMapFile reads the file of a domain map; - is standard input.
func readMapFile(cmd *cobra.Command, file string) ([]byte, error) {
	in := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxMapFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxMapFile {
		return nil, fmt.Errorf("%s: over %d bytes", file, maxMapFile)
	}
	return text, nil
}

// A fileFaults is every fault of one file.
type fileFaults struct {
	file   string
	faults domains.Faults
}

// Error returns a line for each fault, as compilers write them.
func (e *fileFaults) Error() string {
	noun := "faults"
	if len(e.faults) == 1 {
		noun = "fault"
	}
	return fmt.Sprintf("%d %s\n%s", len(e.faults), noun, strings.TrimRight(e.lines(), "\n"))
}

func (e *fileFaults) lines() string {
	var b strings.Builder
	for _, f := range e.faults {
		fmt.Fprintf(&b, "%s:%v\n", e.file, f)
	}
	return b.String()
}

// parseMap parses the file of a domain map; its error is a *fileFaults.
func parseMap(file string, yaml []byte) (*daybookv1.MapDocument, error) {
	document, err := domains.Parse(yaml)
	var faults domains.Faults
	switch {
	case errors.As(err, &faults):
		return nil, &fileFaults{file, faults}
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return document, nil
}

func loadMap(cmd *cobra.Command, file string) (*daybookv1.MapDocument, error) {
	yaml, err := readMapFile(cmd, file)
	if err != nil {
		return nil, err
	}
	return parseMap(file, yaml)
}

func newDomainsCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Check domain maps: every fault with its line and column",
		Long: `check reads the files of domain maps and reports every fault of each as
FILE:LINE:COLUMN: message. It needs no server and no profile: run it in CI. It exits
with 1 where there is a fault.`,
		Example: `  daybook domains check domains.yaml
  daybook domains check --json domains.yaml | jq '.files[].faults[]'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("name a file; - is standard input")
			}
			return checkFiles(cmd, args, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// A checkedFile is the answer of `daybook domains check` about one file.
type checkedFile struct {
	File    string         `json:"file"`
	OK      bool           `json:"ok"`
	Domains int            `json:"domains"`
	Flows   int            `json:"flows"`
	People  int            `json:"people"`
	Faults  []checkedFault `json:"faults"`
}

type checkedFault struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"`
	Message string `json:"message"`
}

func checkFiles(cmd *cobra.Command, files []string, asJSON bool) error {
	out, bad := cmd.OutOrStdout(), 0
	answers := []checkedFile{}
	for _, file := range files {
		document, err := loadMap(cmd, file)
		var faults *fileFaults
		if err != nil && !errors.As(err, &faults) {
			return err
		}
		a := checkedFile{File: file, OK: err == nil, Domains: len(document.GetDomains()), Flows: len(document.GetFlows()), People: len(document.GetPeople()),
			Faults: []checkedFault{}}
		text := fmt.Sprintf("%s: good: %d domains, %d flows, %d people\n", file, a.Domains, a.Flows, a.People)
		if faults != nil {
			bad++
			text = faults.lines()
			for _, f := range faults.faults {
				a.Faults = append(a.Faults, checkedFault{f.Line, f.Column, f.Path, f.Message})
			}
		}
		if answers = append(answers, a); asJSON {
			continue
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
	}
	if asJSON {
		if err := printJSON(out, map[string]any{"ok": bad == 0, "files": answers}); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("faults in %d of %d files", bad, len(files))
	}
	return nil
}

func newDomainsDiffCommand() *cobra.Command {
	var conn connection
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff [OLD] NEW",
		Short: "Say what changes between two domain maps, and who must approve it",
		Long: `diff compares two files, or one file with the map in force, domain by domain and flow
by flow. With two files it needs no server. The people it names must approve the
change, each under their own identity.`,
		Example: `  daybook domains diff domains.yaml
  git show main:domains.yaml | daybook domains diff - domains.yaml
  daybook domains diff old.yaml new.yaml --json | jq .approvers`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usagef("name one file, or two")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			next, err := loadMap(cmd, args[len(args)-1])
			if err != nil {
				return err
			}
			var old *daybookv1.MapDocument
			if len(args) == 2 {
				old, err = loadMap(cmd, args[0])
			} else {
				old, err = inForce(cmd, &conn)
			}
			if err != nil {
				return err
			}
			changes, approvers := domains.Diff(old, next), domains.Needed(old, next)
			if asJSON {
				return printDiffJSON(cmd.OutOrStdout(), changes, approvers)
			}
			return printDiff(cmd.OutOrStdout(), changes, approvers)
		},
	}
	conn.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// reasonNoMap is the server's reason where no domain map is in force.
const reasonNoMap = "NO_MAP"

// inForce returns the map in force; nil where there is none.
func inForce(cmd *cobra.Command, conn *connection) (*daybookv1.MapDocument, error) {
	c, err := conn.dial(cmd, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m, err := c.DomainMap(cmd.Context())
	if client.Reason(err) == reasonNoMap {
		fmt.Fprintln(cmd.ErrOrStderr(), "daybook: no domain map is in force: everything is added")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return m.Document, nil
}

// signs stand before what was added, removed and changed.
var signs = map[string]string{"added": "+", "removed": "-", "changed": "~"}

func printDiff(w io.Writer, changes []domains.Change, approvers []string) error {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s %s\n", signs[c.How], strings.TrimSpace(c.What+" "+c.ID))
		for _, d := range c.Details {
			fmt.Fprintf(&b, "    %s\n", d)
		}
	}
	if len(changes) == 0 {
		b.WriteString("nothing changes\n")
	} else {
		fmt.Fprintf(&b, "must approve: %s\n", strings.Join(approvers, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printDiffJSON(w io.Writer, changes []domains.Change, approvers []string) error {
	list := []map[string]any{}
	for _, c := range changes {
		list = append(list, map[string]any{"what": c.What, "id": c.ID, "how": c.How,
			"details": append([]string{}, c.Details...), "approvers": append([]string{}, c.Approvers...)})
	}
	return printJSON(w, map[string]any{"changes": list, "approvers": append([]string{}, approvers...)})
}
