package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/ledger"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/verify"
)

const webApp = "spiffe://web/app"

// issueAt issues an identity as of another time, and returns its folder.
func issueAt(t *testing.T, dir, id string, now time.Time) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "identity")
	if _, err := issueIdentity(issueOptions{Dir: datadir.Dir(dir), ID: id, Out: out, Life: 30 * 24 * time.Hour}, now); err != nil {
		t.Fatal(err)
	}
	return out
}

func renewNow(t *testing.T, dir, id string, newKey bool) {
	t.Helper()
	if _, err := renewIdentity(renewOptions{Dir: datadir.Dir(dir), ID: id, NewKey: newKey, Life: 30 * 24 * time.Hour}, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// dialIdentity makes a client of a folder; change may be nil.
func dialIdentity(t *testing.T, folder string, change func(*client.Config)) *client.Client {
	t.Helper()
	profile, err := client.LoadProfile(filepath.Join(folder, "profile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := profile.Config()
	config.HeartbeatEvery = -1
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

func openFirstHand(t *testing.T, c *client.Client) *client.Run {
	t.Helper()
	run, err := c.OpenRun(t.Context(), client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func webEvent(t *testing.T, id string) client.Item {
	t.Helper()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Event{
		EventId: []byte(id), OccurredAtNs: time.Now().UnixNano(),
		Source: &daybookv1.Source{Domain: "web"}, Target: &daybookv1.Target{Domain: "db"}, Actor: &daybookv1.Actor{Id: "svc"},
		Action: &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "SELECT"}, Decision: daybookv1.Decision_DECISION_ALLOWED,
		Outcome: &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client.Event(body)
}

// told is what the log holds of one producer: the ids of its events in order, the
// keys of its batches, and what was refused.
type told struct {
	events  []string
	keys    map[verify.Hash]bool
	resumed [][]byte // certificates of run resumed entries
	refused map[string]uint64
}

func (r *runningServer) told(t *testing.T, producer string) told {
	t.Helper()
	out := told{keys: map[verify.Hash]bool{}, refused: map[string]uint64{}}
	err := r.ledger.Entries(t.Context(), 0, r.ledger.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil {
			return err
		}
		switch e.Place.Kind {
		case daybookv1.Kind_KIND_ACCESS:
			event, err := verify.ParseEvent(e.Body)
			if err != nil {
				return err
			}
			out.events = append(out.events, string(event.EventID))
			out.keys[e.Head.KeyFingerprint] = true
		case daybookv1.Kind_KIND_RUN_RESUMED:
			var m daybookv1.RunResumed
			if err := proto.Unmarshal(e.Body, &m); err != nil {
				return err
			}
			out.resumed = append(out.resumed, m.Certificate)
		case daybookv1.Kind_KIND_ACTIVITY:
			var m daybookv1.Activity
			if err := proto.Unmarshal(e.Body, &m); err != nil {
				return err
			}
			if m.Type == daybookv1.ActivityType_ACTIVITY_TYPE_REFUSED && m.Actor == producer {
				out.refused[m.Code] += m.Count
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantEvents checks that the log holds e0... in order, each once.
func (o told) wantEvents(t *testing.T, n int) {
	t.Helper()
	if len(o.events) != n {
		t.Fatalf("%d events are in the log, want %d: %q", len(o.events), n, o.events)
	}
	for i, id := range o.events {
		if id != fmt.Sprintf("e%d", i) {
			t.Fatalf("event %d is %s", i, id)
		}
	}
}

// TestExpiredClientGoesOnAfterRenewal: a client whose certificate has ended keeps
// its batch, is told which command to run, and goes on once that was done: with
// nothing lost and nothing twice.
func TestExpiredClientGoesOnAfterRenewal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	s, stop := serving(t, dir, true)
	folder := issueAt(t, dir, webApp, time.Now().Add(-40*24*time.Hour))
	var once sync.Once
	reloaded := 0
	c := dialIdentity(t, folder, func(c *client.Config) {
		c.OnRetry = func(err error, _ time.Duration) {
			if !errors.Is(err, client.ErrCertificate) || !strings.Contains(err.Error(), "daybookd identity renew --data DIR --id "+webApp) {
				t.Logf("retries: %v", err) // the cut connection
				return
			}
			once.Do(func() { renewNow(t, dir, webApp, false) })
		}
		c.OnIdentity = func(err error) {
			if err == nil {
				reloaded++
			}
		}
	})
	run := openFirstHand(t, c)
	for i := range 5 {
		if _, err := run.Append(t.Context(), webEvent(t, fmt.Sprintf("e%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := run.End(t.Context(), "done"); err != nil {
		t.Fatal(err)
	}
	if reloaded != 1 {
		t.Errorf("the identity was read again %d times", reloaded)
	}
	for s.told(t, webApp).refused["CERTIFICATE_EXPIRED"] == 0 && t.Context().Err() == nil {
		time.Sleep(10 * time.Millisecond) // one refusal entry a second
	}
	s.told(t, webApp).wantEvents(t, 5)
	stop()
}

// TestStreamGoesOnUnderAnotherKey: the certificate is replaced, with another key,
// while a stream is at work. The server is not restarted; the run goes on, is
// resumed with the new certificate, and its end is signed by the new key.
func TestStreamGoesOnUnderAnotherKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	s, _ := serving(t, dir, true)
	folder := issueAt(t, dir, webApp, time.Now())
	read := make(chan error, 16)
	c := dialIdentity(t, folder, func(c *client.Config) { c.OnIdentity = func(err error) { read <- err } })
	run := openFirstHand(t, c)
	sent := 0
	submit := func(ctx context.Context, st *client.Stream) error {
		p, err := st.Submit(ctx, webEvent(t, fmt.Sprintf("e%d", sent)))
		sent++
		if err == nil {
			_, err = p.Wait(ctx)
		}
		return err
	}
	err := run.Stream(t.Context(), client.StreamOptions{}, func(ctx context.Context, st *client.Stream) error {
		if err := submit(ctx, st); err != nil {
			return err
		}
		if _, err := st.Heartbeat(ctx); err != nil {
			return err
		}
		renewNow(t, dir, webApp, true)
		for { // the files are looked at every so often
			if err := submit(ctx, st); err != nil {
				return err
			}
			select {
			case err := <-read:
				if err != nil {
					t.Logf("between the two files: %v", err)
					continue
				}
				if err := submit(ctx, st); err != nil {
					return err
				}
				if _, err := st.Heartbeat(ctx); err != nil {
					return err
				}
				return submit(ctx, st)
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.End(t.Context(), "done"); err != nil {
		t.Fatal(err)
	}
	got := s.told(t, webApp)
	got.wantEvents(t, sent)
	if len(got.keys) != 2 {
		t.Errorf("batches of %d keys are in the log, want 2", len(got.keys))
	}
	if len(got.resumed) != 1 || len(got.resumed[0]) == 0 {
		t.Fatalf("run resumed entries: %d", len(got.resumed))
	}
	page, err := s.ledger.Runs(t.Context(), ledger.RunFilter{Producer: webApp}, s.ledger.Head().Size, s.ledger.Head().Size, 1)
	if err != nil || len(page.Runs) != 1 {
		t.Fatalf("runs: %v, %v", page, err)
	}
	leaf, err := os.ReadFile(filepath.Join(folder, "certificate.pem"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := infoOf(&record{ID: webApp, Certificate: string(leaf)}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if r := page.Runs[0]; r.End == nil || r.Epoch != 2 || r.Signed == nil || fmt.Sprintf("%x", r.Signed.Key) != info.SPKI {
		t.Errorf("the run stands at epoch %d, signed by %+v, not by %s", r.Epoch, r.Signed, info.SPKI)
	}
}

// TestAClientStaysWhoItIs: another producer's certificate in the place of the
// client's, or half a one, changes nothing.
func TestAClientStaysWhoItIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	serving(t, dir, true)
	folder, other := issueAt(t, dir, webApp, time.Now()), issueAt(t, dir, "spiffe://web/other", time.Now())
	read := make(chan error, 16)
	c := dialIdentity(t, folder, func(c *client.Config) { c.OnIdentity = func(err error) { read <- err } })
	run := openFirstHand(t, c)
	for _, name := range []string{"certificate.pem", "key.pem"} {
		b, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := datadir.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n := 0; ; n++ {
		if _, err := run.Append(t.Context(), webEvent(t, fmt.Sprintf("e%d", n))); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-read:
			if err == nil || !strings.Contains(err.Error(), "a client stays who it is") {
				t.Errorf("read: %v", err)
			}
		case <-time.After(20 * time.Millisecond):
			continue
		}
		break
	}
	if c.Producer() != webApp {
		t.Errorf("the client became %s", c.Producer())
	}
}
