package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/verify"
)

// A succeedCommand holds the flags of `daybookd succeed`.
type succeedCommand struct {
	data, made, name, reason string
	vkey                     string
	checkpoints              []string
	survives                 uint64
	lost, publicTiles        bool
	asJSON                   bool
}

func newSucceedCommand() *cobra.Command {
	var s succeedCommand
	cmd := &cobra.Command{
		Use:   "succeed --data OLD --new DIR --reason TEXT",
		Short: "End a log in favour of a new origin; or begin a new one where a log lost entries",
		Long: `A log that lost entries, or must change its name, never goes on under its origin: its
old checkpoints would prove a fork. succeed begins a new log in DIR, whose entry 0
cites the old one, its last checkpoint and what of it is lost.

Where the old log still takes entries, it is ended by two people. The first call makes
the new log's key beside DIR and says what another person has to approve; the second
one puts the end into the old log, which the server of OLD must serve, and makes DIR.
The old log reads on and refuses appends, naming its successor.

With --lost the old log is not asked: its disk is gone, or it stays shut. Give each of
the last checkpoints that are known, from anchors, receipts and mirrors; the largest
says what there was, and --survives how many entries of it a copy still has.

The certificates of OLD go on: a producer needs nothing but the new log's key, and
opens new runs that cite its old ones.

Nothing is lost where it fails: run it again.`,
		Example: `  daybookd succeed --data /srv/daybook --new /srv/daybook2 --reason "the firm was renamed" --origin example.org/audit
  daybookd succeed --data /srv/daybook --new /srv/daybook2 --lost --reason "disk 3 of 3 failed" --survives 120000`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&s.data, "data", "", "data directory of the old log, which may be gone with --lost")
	f.StringVar(&s.made, "new", "", "data `directory` of the new log: missing or empty")
	f.StringVar(&s.name, "origin", "", "`name` of the new log; 8 random hex digits are added (default: as the old one's)")
	f.StringVar(&s.reason, "reason", "", "why, in words; it stands in both logs")
	f.BoolVar(&s.lost, "lost", false, "the old log cannot be asked, or takes no entries")
	f.StringArrayVar(&s.checkpoints, "checkpoint", nil, "with --lost: a `file` with one of its last checkpoints; may be given again (default: OLD.anchor)")
	f.StringVar(&s.vkey, "vkey", "", "with --lost: its verifier key, or a `file` with it (default: OLD/log.vkey)")
	f.Uint64Var(&s.survives, "survives", 0, "with --lost: how many `entries`, from 0, a copy of it still has")
	f.BoolVar(&s.publicTiles, "public-tiles", false, "for good: tiles may be public, each entry carries a blind")
	f.BoolVar(&s.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (s *succeedCommand) run(cmd *cobra.Command) error {
	old, err := dataFlag(s.data)
	if err != nil {
		return err
	}
	if s.made == "" || s.reason == "" {
		return usagef("--new and --reason are needed: where the new log is made, and why")
	}
	if !s.lost && (len(s.checkpoints) > 0 || s.vkey != "" || s.survives > 0) {
		return usagef("--checkpoint, --vkey and --survives go with --lost: a log that is asked knows them")
	}
	dir, err := datadir.Clean(s.made)
	if err != nil {
		return err
	}
	if err := checkVacant(dir); err != nil {
		return err
	}
	if s.lost {
		return s.afterLoss(cmd, old, dir)
	}
	next, err := readStaged(dir)
	switch {
	case err != nil:
		return err
	case next == nil:
		return s.prepare(cmd, old, dir)
	}
	return s.end(cmd, old, dir, next)
}

// originAfter returns the origin of the new log.
func (s *succeedCommand) originAfter(oldVKey string) (string, error) {
	origin, err := verify.VKeyOrigin(oldVKey)
	if err != nil {
		return "", fmt.Errorf("the old log's key: %w", err)
	}
	name := origin
	if i := strings.LastIndexByte(origin, '/'); i > 0 {
		name = origin[:i]
	}
	_, origin, err = originOf(createOptions{Name: cmp.Or(s.name, name)})
	return origin, err
}

// prepare makes the new log's key and says what another person has to approve.
func (s *succeedCommand) prepare(cmd *cobra.Command, old, dir datadir.Dir) error {
	vkey, err := readKeyFile(old.LogVKey())
	if err != nil {
		return err
	}
	origin, err := s.originAfter(vkey)
	if err != nil {
		return err
	}
	next, err := stage(dir, origin)
	if err != nil {
		return err
	}
	n, err := nameKey(next.VKey)
	if err != nil {
		return err
	}
	if s.asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{"prepared": true, "origin": origin, "vkey": n.VKey, "sha256": n.SHA256, "words": n.Words})
	}
	n.print(cmd.OutOrStdout())
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "\nNothing has ended yet. Next, another person, who compares the words:\n\n  daybook approve --successor %s\n\nthen this command once more.\n", staged(dir).LogVKey())
	return err
}

// end ends the old log and makes the new one. Crash: the old log goes on; or it
// has ended and names the new key, and this command makes the new log when it is
// run again.
func (s *succeedCommand) end(cmd *cobra.Command, old, dir datadir.Dir, next *succession) error {
	var r *apiv1.SucceedResponse
	err := askAdmin(cmd.Context(), old, func(ctx context.Context, c apiv1.AdminServiceClient) (err error) {
		r, err = c.Succeed(ctx, &apiv1.SucceedRequest{Origin: next.Origin, Vkey: next.VKey, Reason: s.reason})
		return err
	})
	if err != nil {
		return err
	}
	origin, err := verify.VKeyOrigin(r.GetVkey())
	if err != nil {
		return err
	}
	size := r.GetIndex() + 1
	next.Old = old
	next.Predecessor = &daybookv1.Predecessor{Origin: origin, Checkpoints: [][]byte{r.GetCheckpoint()}, LostFirst: size, LostEnd: size,
		Vkey: r.GetVkey(), Reason: s.reason, Succession: size}
	return s.begin(cmd, dir, next)
}

// afterLoss makes a new log that says what is lost of the old one.
func (s *succeedCommand) afterLoss(cmd *cobra.Command, old, dir datadir.Dir) error {
	vkey := s.vkey
	if !strings.Contains(vkey, "+") {
		var err error
		if vkey, err = readKeyFile(cmp.Or(vkey, old.LogVKey())); err != nil {
			return err
		}
	}
	origin, err := verify.VKeyOrigin(vkey)
	if err != nil {
		return fmt.Errorf("the old log's key: %w", err)
	}
	notes, largest, err := s.lastCheckpoints(old)
	if err != nil {
		return err
	}
	if s.survives > largest {
		return usagef("--survives %d: the largest checkpoint knows %d entries", s.survives, largest)
	}
	after, err := s.originAfter(vkey)
	if err != nil {
		return err
	}
	next := &succession{Origin: after, Old: old}
	if next.SKey, next.VKey, err = (*succession)(nil).key(after); err != nil {
		return err
	}
	next.Predecessor = &daybookv1.Predecessor{Origin: origin, Checkpoints: notes, LostFirst: s.survives, LostEnd: largest, Vkey: vkey, Reason: s.reason}
	return s.begin(cmd, dir, next)
}

// lastCheckpoints reads the checkpoints of a lost log, by size. Their signatures
// are checked when entry 0 is made.
func (s *succeedCommand) lastCheckpoints(old datadir.Dir) (notes [][]byte, largest uint64, err error) {
	files := s.checkpoints
	if len(files) == 0 {
		files = []string{old.Anchor()}
	}
	sizes := map[uint64][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, 0, fmt.Errorf("a checkpoint of the lost log: %w", err)
		}
		c, err := verify.OpenUnverified(text)
		if err != nil {
			return nil, 0, fmt.Errorf("checkpoint %s: %w", file, err)
		}
		sizes[c.Size], largest = text, max(largest, c.Size)
	}
	for _, size := range sortedSizes(sizes) {
		notes = append(notes, sizes[size])
	}
	return notes[max(0, len(notes)-8):], largest, nil
}

func sortedSizes(m map[uint64][]byte) []uint64 {
	var sizes []uint64
	for size := range m {
		sizes = append(sizes, size)
	}
	slices.Sort(sizes)
	return sizes
}

// begin makes the new log and says what comes next.
func (s *succeedCommand) begin(cmd *cobra.Command, dir datadir.Dir, next *succession) error {
	name, _, _ := strings.Cut(next.Origin, "/")
	_, err := createLog(cmd.Context(), createOptions{Dir: dir, Name: name, PublicTiles: s.publicTiles, Succession: next})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(string(staged(dir))); err != nil {
		return fmt.Errorf("the new log is made; remove %s yourself: %w", staged(dir), err)
	}
	p := next.Predecessor
	lost := p.LostEnd - p.LostFirst
	if s.asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{"origin": next.Origin, "vkey": next.VKey, "succeeds": p.Origin, "lost_first": p.LostFirst, "lost_end": p.LostEnd})
	}
	what := fmt.Sprintf("nothing of it is lost: its last entry is %d", p.LostEnd-1)
	if lost > 0 {
		what = fmt.Sprintf("%d entries of it are LOST: %d to %d", lost, p.LostFirst, p.LostEnd-1)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "log         %s\nkey         %s\nsucceeds    %s\n            %s\nnext        keep the old directory and its anchor; serve %s; put the new key into the producers' profiles; lodge a new card (`daybookd key card`)\n",
		next.Origin, next.VKey, p.Origin, what, dir)
	return err
}

// readKeyFile reads a file with a verifier key.
func readKeyFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the old log's verifier key: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
