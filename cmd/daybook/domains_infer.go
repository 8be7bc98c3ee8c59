package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
	"github.com/daybook-ledger/daybook/verify/domains/infer"
)

// A mapInferrer holds the flags of `daybook domains infer`.
type mapInferrer struct {
	conn                      connection
	from, until, output       string
	firm, approver, ownerName string
	identities                []string
	asJSON                    bool

	found map[crossingKey]*crossing
	read  uint64 // accesses
	left  uint64 // of them: denied, or inside one domain, which needs no flow
	told  time.Time
}

// crossingKey is what is taken together.
type crossingKey struct {
	source, target string
	side           daybookv1.Side
}

// A crossing gathers what was seen; each set is bounded by maxSeen.
type crossing struct {
	count       uint64
	first, last int64
	actions     map[daybookv1.ActionClass]bool
	operations  map[string]bool
	producers   map[string]bool
	proofs      map[daybookv1.SourceProof]bool
}

// maxSeen bounds the operations and producers that are remembered of a crossing.
const maxSeen = 1024

func newDomainsInferCommand() *cobra.Command {
	i := &mapInferrer{found: map[crossingKey]*crossing{}}
	cmd := &cobra.Command{
		Use:   "infer [--from TIME] [--until TIME] [-o FILE]",
		Short: "Draft a domain map from what the log has seen",
		Long: `infer reads the accesses of the log and drafts a map of them: each source and target
becomes a domain, each pair a flow in mode observe. What only a person can decide
stands in it behind "# decide:"; comments say what was seen. Accesses that were denied
are left out; those inside one domain need no flow, but make it a domain. Names that
the map in force does not know are drafted too: the draft stands beside that map.

The way in: observe for a week, infer, review, propose; then enforce flow by flow.
FILE is never overwritten: compare a new draft with what you have.`,
		Example: `  daybook domains infer --from 2026-11-01 --until 2026-11-08 -o domains.yaml
  daybook domains infer --firm "Example Securities LLC" --approver cco --approver-identity spiffe://people.example/cco`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return i.do(cmd) },
	}
	i.conn.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&i.from, "from", "", "accesses that occurred at or after this `time` (default: all)")
	f.StringVar(&i.until, "until", "", "accesses that occurred before this `time`")
	f.StringVarP(&i.output, "output", "o", "", "write the draft to this new `file`")
	f.StringVar(&i.firm, "firm", "", "`name` of the firm")
	f.StringVar(&i.approver, "approver", "approver", "`id` of the person who approves")
	f.StringArrayVar(&i.identities, "approver-identity", nil, "SPIFFE `id` or OIDC issuer#subject of that person; may be given again")
	f.StringVar(&i.ownerName, "owner", "", "`owner` of every domain")
	f.BoolVar(&i.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (i *mapInferrer) do(cmd *cobra.Command) error {
	request := &apiv1.ListEntriesRequest{Kind: daybookv1.Kind_KIND_ACCESS, Ascending: true, PageSize: 1000}
	for _, t := range []struct {
		name, text string
		to         **timestamppb.Timestamp
	}{{"from", i.from, &request.OccurredFrom}, {"until", i.until, &request.OccurredUntil}} {
		at, err := timeFlag(t.name, t.text)
		if err != nil {
			return err
		}
		if !at.IsZero() {
			*t.to = timestamppb.New(at)
		}
	}
	c, err := i.conn.dial(cmd, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	i.told = time.Now()
	size, err := c.List(cmd.Context(), request, 0, func(v *apiv1.EntryView) bool {
		i.add(v)
		i.tell(cmd.ErrOrStderr(), v.Index)
		return true
	})
	if err != nil {
		return err
	}
	if len(i.found) == 0 {
		return fmt.Errorf("no crossing was seen in %d entries: nothing to draft from; see --from and --until", size)
	}
	drafted, err := infer.Draft(i.crossings(), infer.Options{Firm: i.firm, Approver: i.approver, Identities: i.identities, Owner: i.ownerName})
	if err != nil {
		return err
	}
	return i.write(cmd, drafted)
}

// tell says how far the reading is.
func (i *mapInferrer) tell(w io.Writer, index uint64) {
	if time.Since(i.told) > progressEvery {
		i.told = time.Now()
		fmt.Fprintf(w, "daybook: %d accesses read, up to entry %d\n", i.read, index)
	}
}

// add counts an access that was not denied.
func (i *mapInferrer) add(v *apiv1.EntryView) {
	e := v.GetEvent()
	i.read++
	if e == nil || e.Decision == daybookv1.Decision_DECISION_DENIED || e.GetOutcome().GetResult() == daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED {
		i.left++
		return
	}
	key := crossingKey{nameOf(v.Place.Source, e.GetSource().GetDomain()), nameOf(v.Place.Target, e.GetTarget().GetDomain()), v.Place.Side}
	if key.source == key.target {
		i.left++
	}
	c := i.found[key]
	if c == nil {
		c = &crossing{first: e.OccurredAtNs, actions: map[daybookv1.ActionClass]bool{}, operations: map[string]bool{},
			producers: map[string]bool{}, proofs: map[daybookv1.SourceProof]bool{}}
		i.found[key] = c
	}
	c.count++
	c.first, c.last = min(c.first, e.OccurredAtNs), max(c.last, e.OccurredAtNs)
	c.actions[e.GetAction().GetClass()] = true
	c.proofs[e.GetSource().GetProof()] = true
	note(c.operations, e.GetAction().GetOperation())
	note(c.producers, v.Head.Producer)
}

// nameOf returns the id of a domain, or the name that was sent where the map in
// force does not know it.
func nameOf(id, sent string) string {
	if id == domains.Unmapped {
		return verify.CanonicalDomain([]byte(sent))
	}
	return id
}

// note remembers a name while there is room.
func note(set map[string]bool, name string) {
	if name != "" && len(set) < maxSeen {
		set[name] = true
	}
}

// crossings are what was seen, in a fixed order.
func (i *mapInferrer) crossings() []infer.Crossing {
	out := make([]infer.Crossing, 0, len(i.found))
	for key, c := range i.found {
		one := infer.Crossing{Source: key.source, Target: key.target, Count: c.count, First: c.first, Last: c.last,
			Actions: slices.Sorted(maps.Keys(c.actions)), Operations: slices.Sorted(maps.Keys(c.operations)),
			Producers: slices.Sorted(maps.Keys(c.producers)), Proofs: slices.Sorted(maps.Keys(c.proofs))}
		if key.side != 0 {
			one.Sides = []daybookv1.Side{key.side}
		}
		out = append(out, one)
	}
	return out
}

func (i *mapInferrer) write(cmd *cobra.Command, d *infer.Drafted) error {
	if i.output != "" {
		if err := writeNew(i.output, d.YAML); err != nil {
			return err
		}
	}
	if i.asJSON {
		left := []map[string]any{}
		for _, l := range d.Left {
			left = append(left, map[string]any{"source": l.Source, "target": l.Target, "count": l.Count, "reason": l.Reason})
		}
		return printJSON(cmd.OutOrStdout(), map[string]any{"accesses": i.read, "left_out": i.left, "domains": len(d.Document.Domains),
			"flows": len(d.Document.Flows), "left": left, "yaml": string(d.YAML)})
	}
	if i.output == "" {
		if _, err := cmd.OutOrStdout().Write(d.YAML); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(cmd.ErrOrStderr(), "daybook: drafted %d domains and %d flows from %d accesses; %d pairs have no flow, the draft's head names them; decide what stands behind `# decide:`\n",
		len(d.Document.Domains), len(d.Document.Flows), i.read-i.left, len(d.Left))
	return err
}

// writeNew writes a file that must not be there.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and a draft overwrites nothing: name another file", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
