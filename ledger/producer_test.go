package ledger_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A handClock goes only where the test moves it.
type handClock struct{ now atomic.Int64 }

func newHandClock() *handClock {
	c := &handClock{}
	c.now.Store(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *handClock) clock() ledger.Clock {
	return ledger.Clock{Wall: c.now.Load, Mono: func() time.Duration { return time.Duration(c.now.Load()) }}
}

func (c *handClock) advance(d time.Duration) { c.now.Add(int64(d)) }

// A runProducer is a producer with a key that signs.
type runProducer struct {
	ledger.Producer
	key ed25519.PrivateKey
}

func newRunProducer(t *testing.T, name string) *runProducer {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := "spiffe://web.test/" + name
	uri, err := url.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, URIs: []*url.URL{uri},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := verify.CertificateSPKI(der)
	if err != nil {
		t.Fatal(err)
	}
	return &runProducer{ledger.Producer{ID: id, Certificate: der, KeyFingerprint: sha256.Sum256(spki)}, key}
}

// A testRun is one run as its producer knows it.
type testRun struct {
	p           *runProducer
	id          verify.Hash
	epoch, next uint64
	hash        verify.Hash
}

func (p *runProducer) open(t *testing.T, g *ledgertest.Log, name string, limit time.Duration) *testRun {
	t.Helper()
	r := &testRun{p: p, id: sha256.Sum256([]byte(name))}
	a, err := g.L.OpenRun(t.Context(), p.Producer, &daybookv1.RunOpened{Run: r.id[:], Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND,
		SilenceLimitNs: uint64(limit), Software: "test 1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.SilenceNS != int64(limit) {
		t.Fatalf("silence limit %d, not %d", a.SilenceNS, limit)
	}
	r.epoch, r.next, r.hash = a.Epoch, a.Next, a.Hash
	return r
}

func (r *testRun) append(t *testing.T, g *ledgertest.Log, items ...ledger.Item) {
	t.Helper()
	if _, err := g.L.Append(t.Context(), r.p.Producer, ledger.Batch{Run: r.id, Epoch: r.epoch, First: r.next, Items: items}); err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		r.hash = verify.RunNext(r.hash, r.next, sha256.Sum256(it.Body))
		r.next++
		var gap daybookv1.Gap
		if it.Kind == daybookv1.Kind_KIND_GAP && proto.Unmarshal(it.Body, &gap) == nil {
			r.next = gap.Last + 1
		}
	}
}

func (r *testRun) events(t *testing.T, g *ledgertest.Log, n int) {
	t.Helper()
	r.append(t, g, ledgertest.Batch(r.id, r.epoch, r.next, n).Items...)
}

func (r *testRun) gap(t *testing.T, g *ledgertest.Log, n uint64) {
	t.Helper()
	r.append(t, g, gapItem(t, r.next, n))
}

func gapItem(t *testing.T, first, n uint64) ledger.Item {
	t.Helper()
	body, err := proto.Marshal(&daybookv1.Gap{First: first, Last: first + n - 1, Reason: "spool lost"})
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Item{Kind: daybookv1.Kind_KIND_GAP, Body: body}
}

func (r *testRun) heartbeat(t *testing.T, g *ledgertest.Log, signed bool) {
	t.Helper()
	m := &daybookv1.RunHeartbeat{Last: r.next - 1, Hash: r.hash[:], Epoch: r.epoch}
	if signed {
		m.Signature = ed25519.Sign(r.p.key, verify.HeartbeatMessage(r.hash, r.next-1, r.epoch))
	}
	body, err := proto.Marshal(m)
	if err == nil {
		_, err = g.L.Heartbeat(t.Context(), r.p.Producer, r.id, body)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (r *testRun) end(t *testing.T, g *ledgertest.Log, signed bool) {
	t.Helper()
	m := &daybookv1.RunEnded{Last: r.next - 1, Hash: r.hash[:], Epoch: r.epoch, Reason: "done"}
	if signed {
		m.Signature = ed25519.Sign(r.p.key, verify.EndMessage(r.hash, r.next-1, r.epoch))
	}
	body, err := proto.Marshal(m)
	if err == nil {
		_, err = g.L.EndRun(t.Context(), r.p.Producer, r.id, body)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (r *testRun) resume(t *testing.T, g *ledgertest.Log) {
	t.Helper()
	a, err := g.L.ResumeRun(t.Context(), r.p.Producer, r.id, nil)
	if err != nil || a.Hash != r.hash || a.Next != r.next {
		t.Fatalf("resumed at %+v, %v", a, err)
	}
	r.epoch = a.Epoch
}

// alertsOf returns the alerts of a type in the log, oldest first.
func alertsOf(t *testing.T, g *ledgertest.Log, typ daybookv1.AlertType) []*daybookv1.Alert {
	t.Helper()
	var out []*daybookv1.Alert
	if err := g.L.Entries(t.Context(), 0, g.L.Head().Size, func(_ uint64, raw []byte) error {
		var e daybookv1.Entry
		if err := proto.Unmarshal(raw, &e); err != nil || e.Place.Kind != daybookv1.Kind_KIND_ALERT {
			return err
		}
		m := new(daybookv1.Alert)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		if m.Type == typ {
			out = append(out, m)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func waitAlerts(t *testing.T, g *ledgertest.Log, typ daybookv1.AlertType, n int) []*daybookv1.Alert {
	t.Helper()
	for tries := 0; ; tries++ {
		got := alertsOf(t, g, typ)
		if len(got) >= n || tries == 1000 {
			if len(got) != n {
				t.Fatalf("%d alerts of %v, not %d", len(got), typ, n)
			}
			return got
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func reopenWatched(t *testing.T, g *ledgertest.Log, c *handClock) *ledgertest.Log {
	t.Helper()
	n := openings(t, g)
	g.Close()
	if engine, err := ledgertest.OpenStore(g.FS, g.Dir, nil); err != nil {
		t.Fatal(err)
	} else if r, err := ledger.Fsck(t.Context(), engine, nil); err != nil || !r.OK {
		t.Fatalf("fsck: %+v, %v", r, err)
	} else if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	g, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Anchor: g.Anchor, Clock: c.clock()})
	if err != nil {
		t.Fatal(err)
	}
	waitOpened(t, g, n+1)
	return g
}

// waitOpened waits until the ledger has begun its n-th run.
func waitOpened(t *testing.T, g *ledgertest.Log, n int) {
	t.Helper()
	for tries := 0; openings(t, g) < n; tries++ {
		if tries == 1000 {
			t.Fatalf("the ledger opened %d runs of its own, not %d", openings(t, g), n)
		}
		time.Sleep(time.Millisecond)
	}
}

// openings is how many runs the ledger itself has opened.
func openings(t *testing.T, g *ledgertest.Log) int {
	t.Helper()
	size := g.L.Head().Size
	page, err := g.L.Runs(t.Context(), ledger.RunFilter{Producer: ledgertest.Origin}, size, size, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Runs)
}

// TestKeyOfTheCertificate: a run is opened and resumed under the key that is in its
// certificate, which an auditor compares.
func TestKeyOfTheCertificate(t *testing.T) {
	g := create(t, ledgertest.Options{})
	p, other := newRunProducer(t, "web"), newRunProducer(t, "desk")
	run := p.open(t, g, "one", 0)
	p.KeyFingerprint = other.KeyFingerprint
	var refused *ledger.RefusedError
	if _, err := g.L.OpenRun(t.Context(), p.Producer, &daybookv1.RunOpened{Run: make([]byte, 32), Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}, nil); !errors.As(err, &refused) || refused.Field != "certificate" {
		t.Errorf("opened: %v", err)
	}
	if _, err := g.L.ResumeRun(t.Context(), p.Producer, run.id, nil); !errors.As(err, &refused) || refused.Field != "certificate" {
		t.Errorf("resumed: %v", err)
	}
}
