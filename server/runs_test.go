package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// client makes a producer's client with a new certificate and key.
func (w *world) client(t *testing.T, change func(*client.Config)) *client.Client {
	t.Helper()
	pair, err := w.ca.IssueClient(producer, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	w.writeAddresses(t)
	config := client.Config{Addresses: filepath.Join(w.dir, "addresses.json"), VKey: w.vkey,
		CA: write("ca.pem", w.ca.Bundle()), Certificate: write("client.pem", pair.Certificate), Key: write("client.key", pair.Key),
		Clock: func() *daybookv1.Clock { return &daybookv1.Clock{UncertaintyNs: 1000, Source: "test"} }}
	if change != nil {
		change(&config)
	}
	c, err := client.Dial(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (w *world) writeAddresses(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(map[string]string{"ingest": w.addresses.Ingest, "query": w.addresses.Query})
	if err == nil {
		err = os.WriteFile(filepath.Join(w.dir, "addresses.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A walkedRun is what the dumb twin makes of one run's entries.
type walkedRun struct {
	hash             verify.Hash
	last, epoch      uint64
	spki             []byte
	heartbeats       int
	ends             int
	signed           uint64
	keys             map[string]bool
	withClock, gaps  int
	resumed          int
	previous, signer string
}

// walk recomputes the running hashes of all runs from the entries' bytes alone,
// and checks every heartbeat and end against them as an auditor does.
func (w *world) walk(t *testing.T) map[string]*walkedRun {
	t.Helper()
	runs := map[string]*walkedRun{}
	request := &apiv1.ListEntriesRequest{Ascending: true, PageSize: 1000}
	for {
		page, err := w.query(t).ListEntries(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Entries {
			var e daybookv1.Entry
			if err := proto.Unmarshal(v.Entry, &e); err != nil {
				t.Fatal(err)
			}
			if e.Place.Index > 0 && e.Head.Producer == producer {
				walkEntry(t, runs, &e)
			}
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return runs
		}
	}
}

func walkEntry(t *testing.T, runs map[string]*walkedRun, e *daybookv1.Entry) {
	t.Helper()
	id := hex.EncodeToString(e.Head.Run)
	r := runs[id]
	if r == nil {
		start := verify.RunStart(e.Head.Producer, verify.Hash(e.Head.Run))
		r = &walkedRun{hash: start, epoch: 1, keys: map[string]bool{}}
		runs[id] = r
	}
	statement := func(last uint64, hash []byte, epoch uint64, signature, message []byte) {
		t.Helper()
		if last != r.last || verify.Hash(hash) != r.hash || epoch != r.epoch {
			t.Errorf("entry %d states number %d, hash %x, epoch %d; the entries before it give %d, %x, %d", e.Place.Index, last, hash, epoch, r.last, r.hash, r.epoch)
		}
		if err := verify.CheckRunSignature(r.spki, message, signature); err != nil {
			t.Errorf("entry %d: %v", e.Place.Index, err)
		}
		sum := sha256.Sum256(r.spki)
		r.signed, r.signer = last, hex.EncodeToString(sum[:])
		r.keys[r.signer] = true
	}
	body := func(m proto.Message) {
		if err := proto.Unmarshal(e.Body, m); err != nil {
			t.Fatal(err)
		}
	}
	if e.Place.Number > 0 {
		r.hash = verify.RunNext(r.hash, e.Place.Number, sha256.Sum256(e.Body))
		r.last = e.Place.Number
	}
	certificate := []byte(nil)
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_RUN_OPENED:
		var m daybookv1.RunOpened
		body(&m)
		certificate = m.Certificate
		r.previous = hex.EncodeToString(m.PreviousRun)
	case daybookv1.Kind_KIND_RUN_RESUMED:
		var m daybookv1.RunResumed
		body(&m)
		certificate, r.epoch = m.Certificate, m.Epoch
		r.resumed++
	case daybookv1.Kind_KIND_GAP:
		var m daybookv1.Gap
		body(&m)
		r.last = m.Last
		r.gaps++
	case daybookv1.Kind_KIND_RUN_HEARTBEAT:
		var m daybookv1.RunHeartbeat
		body(&m)
		statement(m.Last, m.Hash, m.Epoch, m.Signature, verify.HeartbeatMessage(r.hash, r.last, r.epoch))
		r.heartbeats++
		if m.Clock.GetSource() == "test" {
			r.withClock++
		}
	case daybookv1.Kind_KIND_RUN_ENDED:
		var m daybookv1.RunEnded
		body(&m)
		statement(m.Last, m.Hash, m.Epoch, m.Signature, verify.EndMessage(r.hash, r.last, r.epoch))
		r.ends++
	}
	if certificate != nil {
		spki, err := verify.CertificateSPKI(certificate)
		if err != nil {
			t.Fatal(err)
		}
		r.spki = spki
	}
}

// getRun asks how a run stands.
func (w *world) getRun(t *testing.T, run *client.Run) *apiv1.RunView {
	t.Helper()
	id := run.ID()
	a, err := w.query(t).GetRun(t.Context(), &apiv1.GetRunRequest{Run: hex.EncodeToString(id[:])})
	if err != nil {
		t.Fatal(err)
	}
	return a.Run
}

// await waits until n reaches a count.
func await(t *testing.T, n *atomic.Int64, want int64) {
	t.Helper()
	for tries := 0; n.Load() < want; tries++ {
		if tries == 4000 {
			t.Fatalf("%d heartbeats came, not %d", n.Load(), want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestHeartbeats: a run signs by itself what it has sent, idle and with a busy
// stream, across a restart of the server, and to its end.
func TestHeartbeats(t *testing.T) {
	w := newWorld(t)
	c := w.client(t, nil)
	var beats atomic.Int64
	run, err := c.OpenRun(t.Context(), client.RunOptions{
		Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, SilenceLimit: time.Hour, HeartbeatEvery: 60 * time.Millisecond,
		OnHeartbeat: func(r *client.Receipt, _ error) {
			if r != nil {
				beats.Add(1)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	await(t, &beats, 2) // idle, without a number
	if _, err := run.Append(t.Context(), client.Event(event(t, "unary", "db"))); err != nil {
		t.Fatal(err)
	}
	sent := uint64(1)
	for round := range 2 {
		before := beats.Load()
		err := run.Stream(t.Context(), client.StreamOptions{Batch: 8}, func(ctx context.Context, s *client.Stream) error {
			for beats.Load() < before+3 {
				sent++
				if _, err := s.Submit(ctx, client.Event(event(t, fmt.Sprintf("e-%d", sent), "db"))); err != nil {
					return err
				}
			}
			if round == 0 {
				w.end(t)
				w.serve(t)
				w.writeAddresses(t)
			}
			idle := beats.Load()
			await(t, &beats, idle+2) // an idle stream
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	await(t, &beats, beats.Load()+2)
	view := w.getRun(t, run)
	if view.Signed.GetLastNumber() != sent || view.Ended || view.SilenceLimit.AsDuration() != time.Hour ||
		view.SignedWords != fmt.Sprintf("signed by its producer up to number %d, its last", sent) {
		t.Errorf("open run: %v", view)
	}
	if _, err := run.End(t.Context(), "done"); err != nil {
		t.Fatal(err)
	}
	at := beats.Load()
	view = w.getRun(t, run)
	walked := w.walk(t)[view.Run]
	if walked.heartbeats < int(at) || walked.ends != 1 || walked.last != sent || walked.withClock != walked.heartbeats {
		t.Errorf("entries tell %+v; %d heartbeats were answered, %d events sent", walked, at, sent)
	}
	if !view.Ended || !view.EndSigned || view.EndedReason != "done" || view.LastNumber != sent || view.Events != sent ||
		view.Signed.KeyFingerprint != walked.signer || view.Signed.Index != view.LastIndex || view.Heartbeat == nil {
		t.Errorf("ended run: %v", view)
	}
}

// TestClonedMachine: of two processes with one identity and one run the one that
// held it first is shut out for good, does not take it back, and the log tells.
func TestClonedMachine(t *testing.T) {
	w := newWorld(t)
	first, second := w.client(t, nil), w.client(t, nil)
	options := client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, HeartbeatEvery: -1}
	run, err := first.OpenRun(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Append(t.Context(), client.Event(event(t, "one", "db")), client.Event(event(t, "two", "db"))); err != nil {
		t.Fatal(err)
	}
	taken := options
	taken.ID = run.ID()
	clone, err := second.ResumeRun(t.Context(), taken)
	if err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]func() error{
		"append": func() error { _, err := run.Append(t.Context(), client.Event(event(t, "three", "db"))); return err },
		"stream": func() error {
			return run.Stream(t.Context(), client.StreamOptions{}, func(ctx context.Context, s *client.Stream) error {
				_, err := s.Submit(ctx, client.Event(event(t, "four", "db")))
				return err
			})
		},
		"repeat":    func() error { _, err := run.Repeat(t.Context(), 1, client.Event(event(t, "one", "db"))); return err },
		"heartbeat": func() error { _, err := run.Heartbeat(t.Context()); return err },
		"end":       func() error { _, err := run.End(t.Context(), "done"); return err },
		"again":     func() error { _, err := run.Append(t.Context(), client.Event(event(t, "five", "db"))); return err },
	} {
		var over *client.TakenOverError
		if err := try(); !errors.As(err, &over) || !errors.Is(err, client.ErrEpochOver) || over.Run != run.ID() || over.Epoch != 1 || over.Current != 2 || over.Last != 2 {
			t.Errorf("%s after the take-over: %v", what, err)
		}
	}
	if _, err := clone.DeclareGap(t.Context(), 5, "the first process sent them elsewhere"); err != nil {
		t.Fatal(err)
	}
	if _, err := clone.Heartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	options.PreviousRun, options.PreviousLast = run.ID(), 2
	next, err := first.OpenRun(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	view := w.getRun(t, clone)
	walked := w.walk(t)
	w.checkRotated(t, view, walked[view.Run])
	if v := w.getRun(t, next); v.PreviousRun != view.Run || v.PreviousLast != 2 || walked[v.Run].previous != view.Run {
		t.Errorf("the new run cites %s up to %d, not %s", v.PreviousRun, v.PreviousLast, view.Run)
	}
	w.end(t) // what waits is written
	w.serve(t)
	page, err := w.query(t).ListEntries(t.Context(), &apiv1.ListEntriesRequest{Kind: daybookv1.Kind_KIND_ACTIVITY})
	if err != nil {
		t.Fatal(err)
	}
	refusals := 0
	for _, e := range page.Entries {
		if a := e.GetActivity(); a.GetCode() == "EPOCH_OVER" && a.GetActor() == producer && strings.Contains(a.GetDetail(), "taken over") {
			refusals++
		}
	}
	if refusals == 0 {
		t.Error("no activity entry tells of the refusal")
	}
}

// checkRotated checks the run of TestClonedMachine, whose second holder has
// another key under the same identity.
func (w *world) checkRotated(t *testing.T, view *apiv1.RunView, walked *walkedRun) {
	t.Helper()
	if view.Epoch != 2 || view.Resumes != 1 || view.Gaps != 1 || view.Lost != 3 || view.Events != 2 || view.LastNumber != 5 {
		t.Errorf("the run stands at %v", view)
	}
	if walked.resumed != 1 || walked.gaps != 1 || walked.last != 5 || walked.signed != 5 || view.Signed.GetKeyFingerprint() != walked.signer {
		t.Errorf("entries tell %+v of %v", walked, view)
	}
}

// TestListRuns pages through the runs, filtered, by gRPC and by REST.
func TestListRuns(t *testing.T) {
	w := newWorld(t)
	c := w.client(t, nil)
	var want []string
	for i := range 5 {
		run, err := c.OpenRun(t.Context(), client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
		if err != nil {
			t.Fatal(err)
		}
		id := run.ID()
		want = append([]string{hex.EncodeToString(id[:])}, want...)
		if i%2 == 1 {
			if _, err := run.End(t.Context(), "done"); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func(r *apiv1.ListRunsRequest) (ids []string) {
		t.Helper()
		for {
			page, err := w.query(t).ListRuns(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range page.Runs {
				ids = append(ids, v.Run)
			}
			if r.PageToken = page.NextPageToken; r.PageToken == "" {
				return ids
			}
		}
	}
	if got := list(&apiv1.ListRunsRequest{PageSize: 2}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("runs %v, not %v", got, want)
	}
	if got := list(&apiv1.ListRunsRequest{PageSize: 1, Status: apiv1.RunStatus_RUN_STATUS_ENDED, Producer: producer}); fmt.Sprint(got) != fmt.Sprint([]string{want[1], want[3]}) {
		t.Errorf("ended runs %v", got)
	}
	_, err := w.query(t).ListRuns(t.Context(), &apiv1.ListRunsRequest{RunPrefix: "xyz"})
	wantReason(t, err, "BAD_REQUEST")
	_, err = w.query(t).GetRun(t.Context(), &apiv1.GetRunRequest{Run: strings.Repeat("0", 64)})
	wantReason(t, err, "NOT_FOUND")
	_, err = w.query(t).ListRuns(t.Context(), &apiv1.ListRunsRequest{PageToken: "AQ"})
	wantReason(t, err, "BAD_PAGE_TOKEN")
	code, body := get(t, web(t, w.tlsOf(t, w.ca, producer, time.Now())), "https://"+w.addresses.QueryHTTP+"/v1/runs/"+want[0])
	if code != 200 || !contains(body, want[0]) || !contains(body, "it has no number yet") {
		t.Errorf("%d %s", code, body)
	}
}
