package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
)

// ledgerOfReads keeps what is recorded, on a clock that a test moves.
type ledgerOfReads struct {
	mu    sync.Mutex
	list  []*daybookv1.Activity
	fails error
	at    time.Time
}

func (l *ledgerOfReads) record(_ context.Context, a *daybookv1.Activity) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails != nil {
		return 0, l.fails
	}
	l.list = append(l.list, a)
	return uint64(len(l.list)), nil
}

func (l *ledgerOfReads) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

func (l *ledgerOfReads) move(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = l.at.Add(d)
}

func (l *ledgerOfReads) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = err
}

// told is what was recorded, a line each.
func (l *ledgerOfReads) told() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, a := range l.list {
		lines = append(lines, fmt.Sprintf("%s %s %s x%d", strings.TrimPrefix(a.GetType().String(), "ACTIVITY_TYPE_"), a.GetActor(), a.GetMethod(), a.GetCount()))
	}
	return lines
}

func wantTold(t *testing.T, l *ledgerOfReads, want ...string) {
	t.Helper()
	if got := l.told(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("recorded:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func newReads(t *testing.T) (*server.Journal, *ledgerOfReads) {
	t.Helper()
	l := &ledgerOfReads{at: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	return server.NewJournal(l.record, l.now), l
}

func read(who, filter string) *daybookv1.Activity {
	return &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_READ, Actor: who, Method: "QueryService/ListEntries", Detail: filter}
}

func TestRepeatsWithinAMinuteAreCounted(t *testing.T) {
	j, l := newReads(t)
	ctx := t.Context()
	do := func(who, filter string) {
		t.Helper()
		if err := j.Read(ctx, read(who, filter)); err != nil {
			t.Fatal(err)
		}
	}
	do("ann", "a")
	wantTold(t, l, "READ ann QueryService/ListEntries x1")
	do("ann", "a")
	do("ann", "a")
	do("bob", "a")
	do("ann", "b")
	first := []string{"READ ann QueryService/ListEntries x1", "READ bob QueryService/ListEntries x1", "READ ann QueryService/ListEntries x1"}
	wantTold(t, l, first...)
	j.Settle(ctx, l.now(), false)
	wantTold(t, l, first...)
	l.move(time.Minute)
	j.Settle(ctx, l.now(), false)
	wantTold(t, l, append(first, "READ ann QueryService/ListEntries x2")...)
	do("ann", "a") // a minute later it is a first read again
	wantTold(t, l, append(first, "READ ann QueryService/ListEntries x2", "READ ann QueryService/ListEntries x1")...)
}

func TestAReadAfterTheMinuteIsDurableThoughTheCountIsNot(t *testing.T) {
	j, l := newReads(t)
	for range 2 {
		if err := j.Read(t.Context(), read("ann", "")); err != nil {
			t.Fatal(err)
		}
	}
	l.move(61 * time.Second) // no tick came between
	if err := j.Read(t.Context(), read("ann", "")); err != nil {
		t.Fatal(err)
	}
	wantTold(t, l, "READ ann QueryService/ListEntries x1", "READ ann QueryService/ListEntries x1")
	j.Settle(t.Context(), l.now(), false)
	wantTold(t, l, "READ ann QueryService/ListEntries x1", "READ ann QueryService/ListEntries x1", "READ ann QueryService/ListEntries x1")
}

func TestCountsAreWrittenAtTheEnd(t *testing.T) {
	j, l := newReads(t)
	for range 5 {
		if err := j.Read(t.Context(), read("ann", "")); err != nil {
			t.Fatal(err)
		}
	}
	j.Settle(t.Context(), l.now(), true)
	wantTold(t, l, "READ ann QueryService/ListEntries x1", "READ ann QueryService/ListEntries x4")
}

func TestALogThatDoesNotAppendOwesReads(t *testing.T) {
	for _, why := range []error{&ledger.ShutError{Reason: "anchor"}, &ledger.DiskLowError{}, ledger.ErrClock} {
		j, l := newReads(t)
		l.fail(why)
		for range 3 {
			if err := j.Read(t.Context(), read("ann", "")); err != nil {
				t.Fatalf("a read was refused while %v", why)
			}
		}
		l.move(2 * time.Minute)
		j.Settle(t.Context(), l.now(), false)
		wantTold(t, l)
		l.fail(nil)
		l.move(2 * time.Second)
		j.Settle(t.Context(), l.now(), false)
		wantTold(t, l, "READ ann QueryService/ListEntries x3")
	}
}

func TestAReadThatCannotBeRecordedIsNotAnswered(t *testing.T) {
	j, l := newReads(t)
	l.fail(ledger.ErrOutcomeUnknown)
	if err := j.Read(t.Context(), read("ann", "")); !errors.Is(err, ledger.ErrOutcomeUnknown) {
		t.Errorf("read: %v", err)
	}
	l.fail(nil)
	if err := j.Read(t.Context(), read("ann", "")); err != nil {
		t.Error(err)
	}
	wantTold(t, l, "READ ann QueryService/ListEntries x1")
}

func TestMemoryOfReadsIsBounded(t *testing.T) {
	j, l := newReads(t)
	const many = 5000
	for i := range many {
		if err := j.Read(t.Context(), read(fmt.Sprint("person ", i), "")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(l.told()); n != many {
		t.Errorf("%d of %d reads were recorded", n, many)
	}
	if n := j.Folds(); n > 2048 {
		t.Errorf("%d are kept in memory", n)
	}
	l.fail(&ledger.ShutError{})
	l.move(2 * time.Minute)
	j.Settle(t.Context(), l.now(), false)
	for i := range many {
		if err := j.Read(t.Context(), read(fmt.Sprint("stranger ", i), "")); err != nil {
			t.Fatal(err)
		}
	}
	if n := j.Folds(); n > 2048 {
		t.Errorf("%d are kept in memory", n)
	}
	l.fail(nil)
	l.mu.Lock()
	l.list = nil
	l.mu.Unlock()
	l.move(2 * time.Minute)
	j.Settle(t.Context(), l.now(), true)
	sum := uint64(0)
	for _, a := range l.list {
		sum += a.GetCount()
	}
	if sum != many {
		t.Errorf("%d of %d owed reads were recorded", sum, many)
	}
}

// TestAPersonsReadsDoNotFloodTheLog: entry by entry, each read differs.
func TestAPersonsReadsDoNotFloodTheLog(t *testing.T) {
	j, l := newReads(t)
	refused := 0
	for i := range 3000 {
		err := j.Read(t.Context(), read("ann", fmt.Sprint("entry ", i)))
		if err != nil {
			st := server.StatusOf(t.Context(), slog.New(slog.DiscardHandler), "x", err)
			if refused++; reason(st.Err()) != server.ReasonRate || retryAfter(st.Err()) <= 0 {
				t.Fatalf("refused with %v", st.Err())
			}
		}
	}
	if n := len(l.told()); n != 1000 || refused != 2000 {
		t.Errorf("%d reads made entries, %d were refused", n, refused)
	}
	if err := j.Read(t.Context(), read("ann", "entry 0")); err != nil {
		t.Errorf("a repeat, which makes no entry: %v", err)
	}
	if err := j.Read(t.Context(), read("bob", "entry 0")); err != nil {
		t.Errorf("another person: %v", err)
	}
	l.move(time.Second)
	if err := j.Read(t.Context(), read("ann", "entry 2999")); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

// TestABusyLogAnswersNoReadItDidNotRecord: that a producer fills the queue must
// not let people read without a trace.
func TestABusyLogAnswersNoReadItDidNotRecord(t *testing.T) {
	j, l := newReads(t)
	l.fail(&ledger.BusyError{What: "queue", RetryAfter: time.Second})
	var busy *ledger.BusyError
	if err := j.Read(t.Context(), read("ann", "")); !errors.As(err, &busy) {
		t.Errorf("error is %v", err)
	}
	l.fail(nil)
	if err := j.Read(t.Context(), read("ann", "")); err != nil {
		t.Error(err)
	}
	wantTold(t, l, "READ ann QueryService/ListEntries x1")
}

func TestManyAtOnceAreOneFirstReadAndACount(t *testing.T) {
	j, l := newReads(t)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if err := j.Read(t.Context(), read("ann", "")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	j.Settle(t.Context(), l.now(), true)
	wantTold(t, l, "READ ann QueryService/ListEntries x1", "READ ann QueryService/ListEntries x63")
}

// activities are the activity entries of a type in the log.
func activities(t *testing.T, w *world, typ daybookv1.ActivityType) []*daybookv1.Activity {
	t.Helper()
	page, err := w.log.List(t.Context(), ledger.ListFilter{Kind: daybookv1.Kind_KIND_ACTIVITY, Ascending: true}, w.log.Head().Size, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var list []*daybookv1.Activity
	for i, entry := range page.Entries {
		view, err := server.ViewOf(page.Indexes[i], entry)
		if err != nil {
			t.Fatal(err)
		}
		if a := view.GetActivity(); a.GetType() == typ {
			list = append(list, a)
		}
	}
	return list
}

// recorded is a world that records what people do.
func recorded() world {
	return world{options: func(o *server.Options) { o.Record = o.Log.Record }}
}

func TestAPersonsReadIsAnEntryBeforeItsAnswer(t *testing.T) {
	w := newWorldOn(t, recorded())
	in, q := w.ingest(t), w.query(t)
	run := openRun(t, in)
	answer, err := in.Append(t.Context(), batch(t, run, 1, 3))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := q.ListEntries(t.Context(), &apiv1.ListEntriesRequest{Source: "web", PageSize: 1}); err != nil {
			t.Fatal(err)
		}
	}
	reads := activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_READ)
	if len(reads) != 1 {
		t.Fatalf("%d entries of reads: %v", len(reads), reads)
	}
	if a := reads[0]; a.GetActor() != producer || a.GetAuthentication() != "mtls" || a.GetMethod() != "QueryService/ListEntries" ||
		a.GetDetail() != `{"source":"web"}` || a.GetListener() != "query" || a.GetCount() != 1 || a.GetFirstNs() == 0 {
		t.Errorf("the entry is %v", a)
	}
	// Its own receipts, checkpoints, proofs and health are no reads.
	first := answer.GetReceipt().GetGroups()[0].GetFirstIndex()
	own := &apiv1.GetReceiptBatchRequest{Ranges: []*apiv1.IndexRange{{FirstIndex: first, Count: 3}}}
	for name, call := range map[string]func() error{
		"receipts": func() error {
			_, err := q.GetReceipts(t.Context(), &apiv1.GetReceiptsRequest{Indexes: []uint64{first}})
			return err
		},
		"batch":      func() error { _, err := q.GetReceiptBatch(t.Context(), own); return err },
		"checkpoint": func() error { _, err := q.GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{}); return err },
		"proof": func() error {
			_, err := q.GetConsistencyProof(t.Context(), &apiv1.GetConsistencyProofRequest{First: 1})
			return err
		},
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_READ)); n != 1 {
		t.Errorf("%d entries of reads after receipts, checkpoint and proof", n)
	}
	// Those of others are, and a search that finds nothing is, too.
	if _, err := q.GetReceipts(t.Context(), &apiv1.GetReceiptsRequest{Indexes: []uint64{0}}); err != nil {
		t.Error(err)
	}
	if _, err := q.GetEvent(t.Context(), &apiv1.GetEventRequest{EventId: "nobody"}); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	if n := len(activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_READ)); n != 3 {
		t.Errorf("%d entries of reads at the end", n)
	}
}

func TestWhoWasRefusedIsRecorded(t *testing.T) {
	w := newWorldOn(t, recorded())
	conn := dial(t, w.addresses.Admin, w.tlsOf(t, w.ca, producer, time.Now()))
	for range 3 {
		_, err := apiv1.NewAdminServiceClient(conn).GetStatus(t.Context(), &apiv1.GetStatusRequest{})
		wantReason(t, err, server.ReasonNotAllowed)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		list := activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_REFUSED)
		if len(list) > 0 {
			if a := list[0]; a.GetActor() != producer || a.GetListener() != "admin" || a.GetCode() != server.ReasonNotAllowed || a.GetMethod() != "AdminService/GetStatus" {
				t.Errorf("the entry is %v", a)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no entry tells of the refusal")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestAShutLogAnswersPeopleAndOwesTheEntry(t *testing.T) {
	w := newWorldOn(t, recorded())
	openRun(t, w.ingest(t))
	w.end(t)
	if err := os.MkdirAll(filepath.Join(w.dir, "evidence"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "evidence", "presented"), []byte("note"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	size := w.log.Head().Size
	for range 3 {
		if _, err := w.query(t).ListEntries(t.Context(), &apiv1.ListEntriesRequest{Source: "web"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.log.Head().Size; got != size {
		t.Errorf("a shut log grew from %d to %d", size, got)
	}
	_, body := get(t, web(t, w.tlsOf(t, w.ca, "", time.Now())), "https://"+w.addresses.Operations+"/metrics")
	if !contains(body, `daybook_reads_total{outcome="owed"} 1`) || !contains(body, `daybook_reads_total{outcome="counted"} 2`) {
		t.Error("the metrics do not tell of reads that are owed")
	}
}
