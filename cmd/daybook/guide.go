package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/server/console/guide"
)

func newGuideCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "guide [PAGE]",
		Short: "Explain Daybook, page by page",
		Long: `guide prints a page of the guide, as Markdown, or without a page says which there
are. It needs no log.`,
		Example: "  daybook guide\n  daybook guide domains | less",
		Args:    atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pages, err := guide.Pages()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return printPages(cmd.OutOrStdout(), pages, asJSON)
			}
			return printPage(cmd.OutOrStdout(), pages, args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// printPages says which pages there are.
func printPages(w io.Writer, pages []guide.Page, asJSON bool) error {
	if asJSON {
		for i := range pages {
			pages[i].Text = ""
		}
		return printJSON(w, map[string]any{"pages": pages})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range pages {
		fmt.Fprintf(t, "%s\t%s\n", p.Name, p.Title)
	}
	return t.Flush()
}

// printPage prints the page of a name.
func printPage(w io.Writer, pages []guide.Page, name string, asJSON bool) error {
	var names []string
	for _, p := range pages {
		if p.Name != name {
			names = append(names, p.Name)
			continue
		}
		if asJSON {
			return printJSON(w, p)
		}
		_, err := io.WriteString(w, p.Text)
		return err
	}
	return usagef("the guide has no page %q; it has %s", name, strings.Join(names, ", "))
}
