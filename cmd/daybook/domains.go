package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func newDomainsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "domains",
		Short: "Declare domains and flows: check, propose, approve and show the domain map",
		Long: `The domain map is a YAML file in your repository: the domains, the flows between
them that are permitted, and the people who approve. A version of it comes into force
once everybody who must has approved it; every access after that is judged by it.

check, diff and render read files and need no server, so that they run in CI. The way
in is to observe first: see "daybook domains infer --help".`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q", args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(newDomainsCheckCommand(), newDomainsDiffCommand(), newDomainsProposeCommand(), newDomainsApproveCommand(),
		newDomainsGetCommand(), newDomainsHistoryCommand(), newDomainsInferCommand(), newDomainsRenderCommand())
	return cmd
}

// A mapGetter holds the flags of `daybook domains get`.
type mapGetter struct {
	conn           connection
	at             int64
	sum, output    string
	verify, asJSON bool
}

func newDomainsGetCommand() *cobra.Command {
	g := new(mapGetter)
	cmd := &cobra.Command{
		Use:   "get",
		Short: "Show the domain map in force, or that of any entry, proven to be in the log",
		Long: `get prints the file of the domain map in force. With --at it is the map by which
the entry at that index was judged; with --sha256 any version or open proposal.

Before anything is printed the proofs are checked: the entry names the map in its own
bytes, the map's entry names the document by its SHA-256 sum, and the parts of the
document, each proven to be in the log, have that sum. --verify prints these steps in
place of the file; that no map was in force for an entry is proven too.`,
		Example: `  daybook domains get > domains.yaml
  daybook domains get --at 4711 --verify
  daybook domains get --sha256 9f86d081 --json | jq .yaml -r`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return g.do(cmd) },
	}
	g.conn.flags(cmd)
	f := cmd.Flags()
	f.Int64Var(&g.at, "at", -1, "the map by which the entry at this `index` was judged")
	f.StringVar(&g.sum, "sha256", "", "the version or proposal of this SHA-256 `sum`, or its beginning")
	f.StringVarP(&g.output, "output", "o", "", "write the YAML to this `file`")
	f.BoolVar(&g.verify, "verify", false, "print what was proven in place of the file")
	f.BoolVar(&g.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (g *mapGetter) do(cmd *cobra.Command) error {
	switch {
	case g.at >= 0 && g.sum != "":
		return usagef("--at and --sha256 exclude each other")
	case cmd.Flags().Changed("at") && g.at < 0:
		return usagef("--at %d: want an index from 0", g.at)
	}
	c, err := g.conn.dial(cmd, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	m, err := g.fetch(cmd, c)
	var none *client.NoMapError
	if errors.As(err, &none) && g.verify {
		return g.printNone(cmd.OutOrStdout(), none)
	}
	if err != nil {
		return err
	}
	if g.output != "" {
		if err := os.WriteFile(g.output, m.Document.Yaml, 0o644); err != nil {
			return err
		}
	}
	out := cmd.OutOrStdout()
	switch {
	case g.asJSON:
		return printMapJSON(out, m)
	case g.verify:
		return printMapProof(out, m)
	case g.output != "":
		return nil
	}
	_, err = out.Write(m.Document.Yaml)
	return err
}

// printNone prints the proof that an entry was judged without a map.
func (g *mapGetter) printNone(w io.Writer, e *client.NoMapError) error {
	if g.asJSON {
		return printJSON(w, map[string]any{"for_entry": e.Entry, "document": nil, "tree_size": e.Size, "verdict": "VERIFIED"})
	}
	_, err := fmt.Fprintf(w, "VERIFIED entry %d was judged without a domain map: none was in force\nproven to be in the log of %d entries\n", e.Entry, e.Size)
	return err
}

func (g *mapGetter) fetch(cmd *cobra.Command, c *client.Client) (*client.DomainMap, error) {
	switch {
	case g.at >= 0:
		return c.DomainMapAt(cmd.Context(), uint64(g.at))
	case g.sum != "":
		sum, err := findSum(cmd, c, g.sum, false)
		if err != nil {
			return nil, err
		}
		return c.DomainMapBySum(cmd.Context(), sum)
	}
	return c.DomainMap(cmd.Context())
}

// minSum is the least number of hex digits that name a document.
const minSum = 8

// findSum returns the SHA-256 sum that a text is the beginning of: of a proposal,
// or of a version too.
func findSum(cmd *cobra.Command, c *client.Client, text string, proposals bool) (verify.Hash, error) {
	text = strings.ToLower(text)
	if _, err := hex.DecodeString(text[:len(text)&^1]); err != nil || len(text) < minSum || len(text) > 2*len(verify.Hash{}) {
		return verify.Hash{}, usagef("%q: a SHA-256 sum has 64 hex digits, and %d are enough", text, minSum)
	}
	all, err := c.DomainMaps(cmd.Context())
	if err != nil {
		return verify.Hash{}, err
	}
	found := map[string]bool{}
	for _, p := range all.Proposals {
		found[string(p.Sha256)] = true
	}
	if !proposals {
		for _, v := range all.Versions {
			found[string(v.GetMap().GetSha256())] = true
		}
	}
	var hits []string
	for sum := range found {
		if strings.HasPrefix(hex.EncodeToString([]byte(sum)), text) {
			hits = append(hits, sum)
		}
	}
	switch {
	case len(hits) > 1:
		return verify.Hash{}, fmt.Errorf("%d documents begin with %s: give more digits", len(hits), text)
	case len(hits) == 0 && proposals:
		return verify.Hash{}, fmt.Errorf("no open proposal begins with %s: see `daybook domains history`; another version that came into force ends all proposals", text)
	case len(hits) == 0 || len(hits[0]) != len(verify.Hash{}):
		return verify.Hash{}, fmt.Errorf("no version or proposal begins with %s: see `daybook domains history`", text)
	}
	return verify.Hash([]byte(hits[0])), nil
}

func printMapJSON(w io.Writer, m *client.DomainMap) error {
	document := m.Document
	yaml := string(document.Yaml)
	document.Yaml = nil // it stands beside, as text
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(document)
	if err != nil {
		return err
	}
	sum := sumOf(m)
	out := map[string]any{"sha256": sum, "author": document.Author, "document": rawJSON(text), "yaml": yaml, "tree_size": m.Size, "verdict": "VERIFIED"}
	if v := m.Version; v != nil {
		out["index"], out["log_time_ns"], out["previous"] = v.Index, v.LogTimeNs, v.Map.Previous
		out["first_part"], out["parts"], out["approvals"] = v.Map.FirstPart-1, v.Map.Parts, indexesOf(v.Map.Approvals)
	}
	if m.HasEntry {
		out["for_entry"] = m.ForEntry
	}
	if p := m.Proposal; p != nil {
		out["first_part"], out["parts"] = p.FirstPart, p.Parts
		out["missing"], out["approved"] = append([]string{}, p.Missing...), append([]string{}, p.Approved...)
	}
	return printJSON(w, out)
}

// indexesOf turns indexes that are stored plus 1 into indexes.
func indexesOf(plus1 []uint64) []uint64 {
	list := make([]uint64, len(plus1))
	for i, n := range plus1 {
		list[i] = n - 1
	}
	return list
}

// sumOf is the SHA-256 sum of a document, which was checked.
func sumOf(m *client.DomainMap) string {
	if m.Version != nil {
		return hex.EncodeToString(m.Version.Map.Sha256)
	}
	return hex.EncodeToString(m.Proposal.GetSha256())
}

func printMapProof(w io.Writer, m *client.DomainMap) error {
	var b strings.Builder
	if m.HasEntry {
		fmt.Fprintf(&b, "VERIFIED entry %d was judged by the domain map at %d\n", m.ForEntry, m.Version.Index)
	}
	first, parts := m.Proposal.GetFirstPart(), m.Proposal.GetParts()
	if v := m.Version; v != nil {
		first, parts = v.Map.FirstPart-1, v.Map.Parts
		fmt.Fprintf(&b, "VERIFIED entry %d brought %s into force at %s, on approvals %v\n", v.Index, sumOf(m), timeText(v.LogTimeNs), indexesOf(v.Map.Approvals))
	}
	fmt.Fprintf(&b, "VERIFIED document in %s, with the SHA-256 sum %s, proposed by %s\n", entriesText(first, parts), sumOf(m), m.Document.Author)
	fmt.Fprintf(&b, "all of them proven to be in the log of %d entries\n", m.Size)
	_, err := io.WriteString(w, b.String())
	return err
}

func newDomainsHistoryCommand() *cobra.Command {
	var conn connection
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List the versions that came into force and the open proposals, newest first",
		Example: `  daybook domains history
  daybook domains history --json | jq '.proposals[].missing'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			all, err := c.DomainMaps(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printHistoryJSON(cmd.OutOrStdout(), all)
			}
			return printHistory(cmd.OutOrStdout(), all)
		},
	}
	conn.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func printHistory(w io.Writer, all *apiv1.ListDomainMapsResponse) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if len(all.Proposals) > 0 {
		fmt.Fprintln(t, "PROPOSED\tSHA-256\tPROPOSED BY\tCHANGES\tAPPROVED BY\tMISSING")
		for _, p := range all.Proposals {
			fmt.Fprintf(t, "%s\t%.8x\t%s\t%d\t%s\t%s\n", timeText(p.LogTimeNs), p.Sha256, shorten(p.Author, 40), len(p.Changes),
				strings.Join(p.Approved, ", "), strings.Join(p.Missing, ", "))
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintln(t, "INDEX\tIN FORCE SINCE\tSHA-256\tPROPOSED BY\tDOMAINS\tFLOWS\tAPPROVALS")
	for _, v := range all.Versions {
		m := v.GetMap()
		fmt.Fprintf(t, "%d\t%s\t%.8x\t%s\t%d\t%d\t%s\n", v.Index, timeText(v.LogTimeNs), m.GetSha256(), shorten(m.GetAuthor(), 40), v.Domains, v.Flows,
			strings.Trim(fmt.Sprint(indexesOf(m.GetApprovals())), "[]"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d versions, %d open proposals\n", len(all.Versions), len(all.Proposals))
	return err
}

// printHistoryJSON prints digests in hex, not in base64.
func printHistoryJSON(w io.Writer, all *apiv1.ListDomainMapsResponse) error {
	versions, proposals := []map[string]any{}, []map[string]any{}
	for _, v := range all.Versions {
		m := v.GetMap()
		versions = append(versions, map[string]any{"index": v.Index, "log_time_ns": v.LogTimeNs, "sha256": hex.EncodeToString(m.GetSha256()), "author": m.GetAuthor(),
			"first_part": m.GetFirstPart() - 1, "parts": m.GetParts(), "approvals": indexesOf(m.GetApprovals()), "domains": v.Domains, "flows": v.Flows})
	}
	for _, p := range all.Proposals {
		proposals = append(proposals, proposalJSON(p))
	}
	return printJSON(w, map[string]any{"versions": versions, "proposals": proposals})
}

func proposalJSON(p *apiv1.MapProposal) map[string]any {
	return map[string]any{"sha256": hex.EncodeToString(p.GetSha256()), "first_part": p.GetFirstPart(), "parts": p.GetParts(), "author": p.GetAuthor(),
		"log_time_ns": p.GetLogTimeNs(), "missing": append([]string{}, p.GetMissing()...), "approved": append([]string{}, p.GetApproved()...),
		"changes": append([]string{}, p.GetChanges()...)}
}
