package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// A searchKind is one kind of question that people ask of a log. filter makes it
// of an entry drawn at random, so that each has an answer.
type searchKind struct {
	name   string
	filter func(e *apiv1.EntryView) *apiv1.ListEntriesRequest
}

const month = 30 * 24 * time.Hour

var searchKinds = []searchKind{
	{"newest 100 of a pair", func(e *apiv1.EntryView) *apiv1.ListEntriesRequest {
		return &apiv1.ListEntriesRequest{Source: e.Place.Source, Target: e.Place.Target}
	}},
	{"one actor in a month", func(e *apiv1.EntryView) *apiv1.ListEntriesRequest {
		at := time.Unix(0, e.Head.LogTimeNs)
		return &apiv1.ListEntriesRequest{Actor: e.GetEvent().GetActor().GetId(),
			LoggedFrom: timestamppb.New(at.Add(-month / 2)), LoggedUntil: timestamppb.New(at.Add(month / 2))}
	}},
	{"one event id", func(e *apiv1.EntryView) *apiv1.ListEntriesRequest {
		return &apiv1.ListEntriesRequest{EventId: fmt.Sprintf("hex:%x", e.GetEvent().GetEventId())}
	}},
	{"one correlation id", func(e *apiv1.EntryView) *apiv1.ListEntriesRequest {
		return &apiv1.ListEntriesRequest{CorrelationId: string(e.GetEvent().GetCorrelationId())}
	}},
	{"rare prefix of a resource", func(e *apiv1.EntryView) *apiv1.ListEntriesRequest {
		resource := e.GetEvent().GetTarget().GetResource()
		return &apiv1.ListEntriesRequest{ResourcePrefix: resource[:len(resource)*3/4]}
	}},
	{"common AND rare", func(e *apiv1.EntryView) *apiv1.ListEntriesRequest {
		return &apiv1.ListEntriesRequest{Decision: e.GetEvent().GetDecision(), Target: e.Place.Target,
			Ticket: e.GetEvent().GetAuthorization().GetTicket()}
	}},
	{"100 of one second", func(e *apiv1.EntryView) *apiv1.ListEntriesRequest {
		at := time.Unix(0, e.Head.LogTimeNs)
		return &apiv1.ListEntriesRequest{LoggedFrom: timestamppb.New(at), LoggedUntil: timestamppb.New(at.Add(time.Second))}
	}},
}

// searchRest is the pause after each search: a person's reads are entries, of which
// the log takes 50 a second, and that bound is not what is measured.
const searchRest = 50 * time.Millisecond

// A searchResult is what one kind of search came to; its JSON fields are stable.
type searchResult struct {
	Kind string  `json:"kind"`
	N    int     `json:"searches"`
	Hits float64 `json:"hits_each"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	Max  float64 `json:"max_ms"`
}

// searchReport is all of them.
type searchReport struct {
	Size     uint64         `json:"size"`
	Searches []searchResult `json:"results"`
}

// search asks n questions of each kind, one at a time, and times the answers: up
// to 100 entries each, over the query listener.
func search(ctx context.Context, c *client.Client, n int) (*searchReport, error) {
	checkpoint, err := c.Checkpoint(ctx, 0)
	if err != nil {
		return nil, err
	}
	r := &searchReport{Size: checkpoint.Size}
	random := rand.New(rand.NewPCG(checkpoint.Size, 1))
	for _, kind := range searchKinds {
		result := searchResult{Kind: kind.name, N: n}
		times := make([]time.Duration, 0, n)
		for range n {
			e, err := drawAccess(ctx, c, random, checkpoint.Size)
			if err != nil {
				return nil, err
			}
			began, hits := time.Now(), 0
			if _, err := c.List(ctx, kind.filter(e), 100, func(*apiv1.EntryView) bool { hits++; return true }); err != nil {
				return nil, fmt.Errorf("%s: %w", kind.name, err)
			}
			times = append(times, time.Since(began))
			if hits == 0 {
				return nil, fmt.Errorf("%s: entry %d was not found", kind.name, e.Index)
			}
			result.Hits += float64(hits) / float64(n)
			time.Sleep(searchRest)
		}
		result.P50, result.P99, result.Max = percentiles(times)
		r.Searches = append(r.Searches, result)
	}
	return r, nil
}

// drawAccess returns an access at random, which every kind of search can be made
// of.
func drawAccess(ctx context.Context, c *client.Client, random *rand.Rand, size uint64) (*apiv1.EntryView, error) {
	for range 1000 {
		index := random.Uint64N(size)
		e, err := c.Entry(ctx, index)
		if err != nil {
			return nil, err
		}
		event := e.View.GetEvent()
		if len(event.GetCorrelationId()) > 0 && event.GetTarget().GetResource() != "" && event.GetAuthorization().GetTicket() != "" {
			return e.View, nil
		}
	}
	return nil, errors.New("among 1,000 entries none has a correlation id, a resource and a ticket: fill the log with `daybook bench` first")
}

func (r *searchReport) print(w io.Writer) error {
	fmt.Fprintf(w, "%d entries\n", r.Size)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join([]string{"search", "asked", "hits each", "p50 ms", "p99 ms", "max ms", ""}, "\t"))
	for _, s := range r.Searches {
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%.2f\t%.2f\t%.2f\t\n", s.Kind, s.N, s.Hits, s.P50, s.P99, s.Max)
	}
	return t.Flush()
}

// search runs the searches and prints what they came to.
func (p *benchPlan) search(cmd *cobra.Command, conn *connection, asJSON bool) error {
	c, err := conn.dial(cmd, func(*client.Config) {})
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := search(cmd.Context(), c, p.searches)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), r)
	}
	return r.print(cmd.OutOrStdout())
}
