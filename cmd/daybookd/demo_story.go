package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/synthetic/firm"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// A story is the sample firm at work: its people and producers, each with a
// certificate of its own.
type story struct {
	s       *demoServer
	clients map[string]*client.Client
	runs    map[string]*client.Run
	table   *tabwriter.Writer
	// forbidden is the index of the first access that no tier rule lets through.
	forbidden uint64
}

// tellStory brings the firm's map into force and lets the firm work. It returns
// the index of the forbidden access.
func tellStory(ctx context.Context, w io.Writer, s *demoServer, c *client.Client) (uint64, error) {
	st := &story{s: s, clients: map[string]*client.Client{}, runs: map[string]*client.Run{}, table: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	defer st.close()
	fmt.Fprintln(w, "A firm in small: its domains declared as code, each crossing judged")
	if err := st.declare(ctx); err != nil {
		return 0, fmt.Errorf("bringing the firm's domain map into force: %w", err)
	}
	run := make([]byte, 4)
	rand.Read(run)
	for _, step := range firm.Story(time.Now(), hex.EncodeToString(run)) {
		if err := st.step(ctx, &step); err != nil {
			return 0, err
		}
	}
	if err := st.reuse(ctx, c); err != nil {
		return 0, err
	}
	if err := st.table.Flush(); err != nil {
		return 0, err
	}
	_, err := fmt.Fprintln(w)
	return st.forbidden, err
}

func (st *story) close() {
	for _, r := range st.runs {
		r.Leave()
	}
	for _, c := range st.clients {
		c.Close()
	}
}

// client returns the client of a SPIFFE id, whose identity the private CA issues
// once.
func (st *story) client(id string) (*client.Client, error) {
	if c := st.clients[id]; c != nil {
		return c, nil
	}
	folder := filepath.Join(string(st.s.Dir)+".people", strings.ReplaceAll(strings.TrimPrefix(id, "spiffe://"), "/", "-"))
	if _, err := os.Stat(filepath.Join(folder, "profile.yaml")); errors.Is(err, os.ErrNotExist) {
		if _, err := issueIdentity(issueOptions{Dir: st.s.Dir, ID: id, Out: folder, Life: maxDays * 24 * time.Hour}, time.Now()); err != nil {
			return nil, err
		}
	}
	profile, err := client.LoadProfile(filepath.Join(folder, "profile.yaml"))
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(profile.Config())
	if err == nil {
		st.clients[id] = c
	}
	return c, err
}

// declare proposes the map and approves it, where it is not in force.
func (st *story) declare(ctx context.Context) error {
	author, err := st.client(firm.Author)
	if err != nil {
		return err
	}
	collector := "spiffe://" + strings.SplitN(st.s.Origin, "/", 2)[0] + "/" + producerName
	proposed, err := author.ProposeMap(ctx, firm.MapWith(collector))
	if client.Reason(err) == "MAP_UNCHANGED" {
		fmt.Fprintf(st.table, "  declared\tthe map in force is the firm's already\n")
		return nil
	}
	if err != nil {
		return err
	}
	for _, id := range []string{firm.CCO, firm.DataOwner} {
		c, err := st.client(id)
		if err != nil {
			return err
		}
		approved, err := c.Approve(ctx, &daybookv1.Approval{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, Sha256: proposed.Proposal.Sha256})
		if err != nil {
			return err
		}
		if v := approved.InForce; v != nil {
			fmt.Fprintf(st.table, "  declared\t%d domains and %d flows by %s, approved by cco and data-owner: in force from entry %d\n",
				v.Domains, v.Flows, "author", v.Index+1)
		}
	}
	return nil
}

func (st *story) step(ctx context.Context, step *firm.Step) error {
	switch {
	case step.Event != nil:
		return st.access(ctx, step)
	case step.Approve != nil:
		c, err := st.client(step.Person)
		if err != nil {
			return err
		}
		a, err := c.Approve(ctx, step.Approve)
		if err != nil {
			return fmt.Errorf("approving %s: %w", step.Approve.Name, err)
		}
		fmt.Fprintf(st.table, "  approved\t%s, %s -> %s, ticket %s, by data-owner: entry %d\n", step.Approve.Name, step.Approve.From, step.Approve.To,
			step.Approve.Ticket, a.State.Index)
	}
	return nil
}

// access reports one access, and shows how it was judged.
func (st *story) access(ctx context.Context, step *firm.Step) error {
	c, err := st.client(step.Producer)
	if err != nil {
		return err
	}
	r := st.runs[step.Producer]
	if r == nil {
		if r, err = c.OpenRun(ctx, client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}); err != nil {
			return fmt.Errorf("%s: %w", step.Producer, err)
		}
		st.runs[step.Producer] = r
	}
	step.Event.OccurredAtNs = time.Now().UnixNano()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(step.Event)
	if err != nil {
		return err
	}
	receipt, err := r.Append(ctx, client.Event(body))
	if err != nil {
		return fmt.Errorf("%s: %w", step.Producer, err)
	}
	entry, err := c.Entry(ctx, receipt.Index(0))
	if err != nil {
		return err
	}
	place := entry.View.Place
	if place.Verdict != step.Verdict {
		return fmt.Errorf("entry %d, %s: judged %v, not %v", entry.Index, step.Planted, place.Verdict, step.Verdict)
	}
	if place.Verdict == daybookv1.Verdict_VERDICT_FORBIDDEN && st.forbidden == 0 {
		st.forbidden = entry.Index
	}
	fmt.Fprintf(st.table, "  %s\t%s -> %s, %s by %s%s: entry %d\n", judged(place.Verdict), place.Source, place.Target, step.Event.Action.Operation,
		step.Event.Actor.Id, because(entry.View), entry.Index)
	return nil
}

func judged(v daybookv1.Verdict) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(v.String(), "VERDICT_"), "_", " "))
}

// because says what an access was judged by.
func because(view *apiv1.EntryView) string {
	j := view.Judgement
	switch {
	case view.Place.Verdict == daybookv1.Verdict_VERDICT_FORBIDDEN:
		return ", test never reaches production"
	case j.GetApproval() != nil:
		return fmt.Sprintf(", flow %s, approved before by entry %d", j.Flow, j.Approval.Index)
	case j.GetFlow() != "":
		return ", flow " + j.Flow
	}
	return ""
}

// reuse waits for the alert about the credential that two domains use.
func (st *story) reuse(ctx context.Context, c *client.Client) error {
	for range 100 {
		var found *apiv1.EntryView
		request := &apiv1.ListEntriesRequest{Kind: daybookv1.Kind_KIND_ALERT, AlertType: daybookv1.AlertType_ALERT_TYPE_CREDENTIAL_REUSE}
		if _, err := c.List(ctx, request, 1, func(view *apiv1.EntryView) bool { found = view; return false }); err != nil {
			return err
		}
		if found != nil {
			fmt.Fprintf(st.table, "  alert\t%s: entry %d\n", found.GetAlert().Detail, found.Index)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("a credential was used from two domains, and there is no alert")
}
