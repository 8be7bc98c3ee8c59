package ledger_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/index"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// listAll returns all that a filter finds, page by page.
func listAll(t *testing.T, l *ledger.Ledger, f ledger.ListFilter, page int) (all []uint64) {
	t.Helper()
	size := l.Head().Size
	from := size
	if f.Ascending {
		from = 0
	}
	for {
		p, err := l.List(t.Context(), f, size, from, page)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Indexes...)
		if from = p.Next; !p.More {
			return all
		}
	}
}

// TestListEqualsScanThroughReindex holds lists against a scan of all entries:
// with a chunk in a table, after a reindex that was interrupted, and after one
// that was not.
func TestListEqualsScanThroughReindex(t *testing.T) {
	fs := vfs.NewMem()
	g := ledgertest.Create(t, fs, "log", ledgertest.Options{})
	run, _ := g.Run("list")
	for first := 1; first < index.ChunkLen+1000; first += 4000 {
		appendBatch(t, g, ledgertest.Batch(run, 1, uint64(first), 4000))
	}
	compareLists(t, g.L)
	g.Close()
	for _, interrupt := range []bool{true, false} {
		engine, err := ledgertest.OpenStore(fs, "log", nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		indexed, err := ledger.Reindex(ctx, engine, func(done, _ uint64) {
			if interrupt && done > 30000 {
				cancel()
			}
		})
		cancel()
		if interrupt != errors.Is(err, context.Canceled) || !interrupt && (err != nil || indexed != index.ChunkLen) {
			t.Fatalf("interrupted %v: %d entries, %v", interrupt, indexed, err)
		}
		if err := engine.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := ledgertest.Open(t, fs, "log", ledgertest.Options{Anchor: g.Anchor})
		if err != nil {
			t.Fatal(err)
		}
		compareLists(t, again.L)
		again.Close()
	}
}

func compareLists(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	match := func(f index.Field, v string) ledger.Match { return ledger.Match{Field: f, Value: []byte(v)} }
	begin := func(f index.Field, v string) ledger.Match {
		return ledger.Match{Field: f, Value: []byte(v), Prefix: true}
	}
	filters := []ledger.ListFilter{
		{Source: "web-1", Target: "db-2", Kind: daybookv1.Kind_KIND_ACCESS},
		{Where: []ledger.Match{{Field: index.Decision, Number: 2}, begin(index.Target, "db-")}},
		{Where: []ledger.Match{match(index.Resource, "accounts"), match(index.Source, "web-0"), {Field: index.Verdict, Number: 3}}},
		{Where: []ledger.Match{begin(index.Actor, "ali"), begin(index.Producer, ledgertest.Producer.ID)}, Kind: daybookv1.Kind_KIND_RUN_OPENED},
		{Where: []ledger.Match{match(index.Producer, ledgertest.Origin)}},
		{},
	}
	for i, f := range filters {
		for _, ascending := range []bool{true, false} {
			f.Ascending = ascending
			want := scanAll(t, l, f)
			if diff := cmp.Diff(want, listAll(t, l, f, 1000)); diff != "" {
				t.Errorf("filter %d, ascending %v: %s", i, ascending, diff)
			}
		}
	}
	values, more, _, err := l.Values(t.Context(), index.Target, "db-", 4)
	if diff := cmp.Diff([]string{"db-0", "db-1", "db-2", "db-3"}, values); diff != "" || !more || err != nil {
		t.Errorf("values of target: %s, more %v, %v", diff, more, err)
	}
}

// scanAll is the dumb twin of a list.
func scanAll(t *testing.T, l *ledger.Ledger, f ledger.ListFilter) (all []uint64) {
	t.Helper()
	where := slices.Clone(f.Where)
	if err := l.Entries(t.Context(), 0, l.Head().Size, func(at uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return err
		}
		var ev verify.EventFields
		if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
			if ev, err = verify.ParseEvent(e.Body); err != nil {
				return err
			}
		}
		holds := (f.Source == "" || e.Place.Source == f.Source) && (f.Target == "" || e.Place.Target == f.Target) && (f.Kind == 0 || e.Place.Kind == f.Kind)
		for _, m := range where {
			v := map[index.Field]string{index.Target: e.Place.Target, index.Source: e.Place.Source, index.Producer: e.Head.Producer,
				index.Resource: string(ev.Resource), index.Actor: string(ev.ActorID)}[m.Field]
			switch {
			case m.Field == index.Decision:
				holds = holds && uint64(ev.Decision) == m.Number
			case m.Field == index.Verdict:
				holds = holds && uint64(e.Place.Verdict) == m.Number
			case m.Prefix:
				holds = holds && len(v) >= len(m.Value) && v[:len(m.Value)] == string(m.Value)
			default:
				holds = holds && v == string(m.Value)
			}
		}
		if holds {
			all = append(all, at)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !f.Ascending {
		slices.Reverse(all)
	}
	return all
}
