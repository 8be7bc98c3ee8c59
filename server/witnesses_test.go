package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/witness"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

// A credulous witness cosigns whatever it is given, once it is willing.
type credulous struct {
	key     cosigntest.Witness
	willing atomic.Bool
}

// ServeHTTP implements http.Handler.
func (c *credulous) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	_, note, ok := strings.Cut(string(body), "\n\n")
	if err != nil || !ok || !c.willing.Load() {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, c.key.Line([]byte(note), 1_800_000_000))
}

// witnessedWorld is a world with one witness, which is willing or will be.
func witnessedWorld(t *testing.T, willing bool) (*world, *credulous) {
	t.Helper()
	c := &credulous{key: cosigntest.Witness{Name: "witness.test/one", Type: cosigntest.Ed25519}}
	c.willing.Store(willing)
	at := httptest.NewServer(c)
	t.Cleanup(at.Close)
	return newWorldOn(t, world{witnesses: func(vkey string) *witness.Policy {
		p, err := witness.ReadPolicy([]byte("witness one "+c.key.VKey()+" "+at.URL+"\nquorum one\n"), vkey)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}}), c
}

func TestWaitWitnessed(t *testing.T) {
	w, c := witnessedWorld(t, false)
	w.fillTiles(t, 10)
	q := w.query(t)
	_, err := q.WaitWitnessed(t.Context(), &apiv1.WaitWitnessedRequest{Index: 3, Wait: durationpb.New(0)})
	wantReason(t, err, server.ReasonNotWitnessed)
	_, err = q.GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{Witnessed: true})
	wantReason(t, err, server.ReasonNotWitnessed)
	_, err = q.GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{Witnessed: true, Size: 3})
	wantReason(t, err, server.ReasonBadRequest)
	_, err = q.WaitWitnessed(t.Context(), &apiv1.WaitWitnessedRequest{Index: 3, Wait: durationpb.New(-1)})
	wantReason(t, err, server.ReasonBadRequest)
	_, err = q.WaitWitnessed(t.Context(), &apiv1.WaitWitnessedRequest{Index: 1 << 40})
	wantReason(t, err, server.ReasonNotFound)

	c.willing.Store(true)
	a, err := q.WaitWitnessed(t.Context(), &apiv1.WaitWitnessedRequest{Index: 9})
	if err != nil {
		t.Fatal(err)
	}
	newest, err := q.GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{Witnessed: true})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := verify.ParsePolicy([]byte(newest.Policy))
	if err != nil || !strings.Contains(newest.Policy, c.key.VKey()) || !strings.Contains(newest.Policy, w.vkey) {
		t.Fatalf("policy %s: %v", newest.Policy, err)
	}
	for _, note := range [][]byte{a.Checkpoint, newest.Checkpoint} {
		if o, err := policy.Open(note); err != nil || o.Size < 10 || len(o.Witnesses) != 1 {
			t.Errorf("%+v, %v", o, err)
		}
	}
	if len(a.Cosignatures) != 1 || a.Cosignatures[0].Witness != "one" || a.Cosignatures[0].Time.AsTime().Unix() != 1_800_000_000 || len(newest.Cosignatures) != 1 {
		t.Errorf("cosigned by %v, %v", a.Cosignatures, newest.Cosignatures)
	}
	// Receipts at that size carry the cosignatures.
	receipts, err := q.GetReceipts(t.Context(), &apiv1.GetReceiptsRequest{Indexes: []uint64{9}, TreeSize: a.Size})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.CheckReceipt(policy, receipts.Receipts[0].Proof, receipts.Receipts[0].Entry); err != nil {
		t.Error(err)
	}
	w.checkWitnessedREST(t, policy)
}

// checkWitnessedREST reads the same over REST, from the public page, the status
// and the metrics.
func (w *world) checkWitnessedREST(t *testing.T, policy *verify.Policy) {
	t.Helper()
	browser := web(t, w.tlsOf(t, w.ca, producer, time.Now()))
	for path, want := range map[string]int{"/v1/entries/9/witnessed": 200, "/v1/entries/9/witnessed?wait=1s": 200, "/v1/checkpoint?witnessed=true": 200, "/v1/entries/9000/witnessed": 404} {
		code, body := get(t, browser, "https://"+w.addresses.QueryHTTP+path)
		var m struct{ Checkpoint []byte }
		if code != want {
			t.Errorf("%s answers %d: %s", path, code, body)
			continue
		}
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatal(err)
		}
		if _, err := policy.Open(m.Checkpoint); want == 200 && err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	st, err := w.admin(t).GetStatus(t.Context(), &apiv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ws := st.Witnesses
	if ws == nil || ws.WitnessedSize < 10 || ws.Lag != st.Size-ws.WitnessedSize || len(ws.Witnesses) != 1 || ws.Witnesses[0].Size < 10 || ws.Witnesses[0].Failures == 0 {
		t.Errorf("status %v", ws)
	}
	w.wantMetrics(t, "daybook_witnessed_size 1", `daybook_witness_size{witness="one"} 1`, `daybook_witness_lag_entries{witness="one"} 0`,
		`daybook_witness_failures_total{witness="one"}`, `daybook_witness_contradicts{witness="one"} 0`)
}

func TestWithoutWitnesses(t *testing.T) {
	w := newWorld(t)
	q := w.query(t)
	_, err := q.WaitWitnessed(t.Context(), &apiv1.WaitWitnessedRequest{})
	wantReason(t, err, server.ReasonNoWitnesses)
	_, err = q.GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{Witnessed: true})
	wantReason(t, err, server.ReasonNoWitnesses)
	st, err := w.admin(t).GetStatus(t.Context(), &apiv1.GetStatusRequest{})
	if err != nil || st.Witnesses != nil {
		t.Errorf("%v, %v", st, err)
	}
}
