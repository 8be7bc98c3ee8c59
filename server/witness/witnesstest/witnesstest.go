// Package witnesstest is a witness for tests, which also misbehaves.
//
//	w := witnesstest.New(t, "witness.test/a", cosigntest.Ed25519, vkey)
//	policy := "witness a " + w.Key.VKey() + " " + w.URL() + "\nquorum a\n"
//	w.Instead(witnesstest.Answer(503, "", "later"))
package witnesstest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

// maxRequest is the least that witnesses take.
const maxRequest = 10 << 10

// Misbehaviour answers a request in the place of a witness. It gets the checkpoint
// that was submitted, and returns false to let the witness answer after all.
type Misbehaviour func(w http.ResponseWriter, note []byte) bool

// A Witness is one after c2sp.org/tlog-witness@v1.0.0 on loopback. Its methods are
// safe for concurrent use.
type Witness struct {
	Key cosigntest.Witness

	t      testing.TB
	server *httptest.Server
	log    *verify.Policy
	origin string

	mu      sync.Mutex
	size    uint64      // cosigned last; guarded by mu
	root    verify.Hash // guarded by mu
	olds    []uint64    // of its requests; guarded by mu
	stamp   uint64      // Unix time of its last cosignature; guarded by mu
	instead Misbehaviour
	shown   []byte          // what it shows to everybody; guarded by mu
	peers   map[string]bool // addresses of its clients; guarded by mu
}

// New starts a witness that trusts one log; it ends with the test. A request that
// is not what a log sends fails the test.
func New(t testing.TB, name string, typ byte, vkey string) *Witness {
	t.Helper()
	policy, err := verify.KeyPolicy(vkey)
	if err != nil {
		t.Fatal(err)
	}
	origin, err := verify.VKeyOrigin(vkey)
	if err != nil {
		t.Fatal(err)
	}
	w := &Witness{Key: cosigntest.Witness{Name: name, Type: typ}, t: t, log: policy, origin: origin, stamp: 1_800_000_000, peers: map[string]bool{}}
	w.server = httptest.NewServer(w)
	t.Cleanup(w.server.Close)
	return w
}

// URL is where it is asked.
func (w *Witness) URL() string { return w.server.URL }

// Die ends it: connections are refused.
func (w *Witness) Die() { w.server.Close() }

// Instead has something else answer from now on; nil: the witness itself.
func (w *Witness) Instead(m Misbehaviour) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instead = m
}

// Show has it show a checkpoint to everybody.
func (w *Witness) Show(note []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown = note
}

// Olds are the old sizes of the requests so far.
func (w *Witness) Olds() []uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.olds)
}

// Size is the size that it cosigned last.
func (w *Witness) Size() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// Peers is how many connections it was asked on.
func (w *Witness) Peers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.peers)
}

// Answer is a misbehaviour: a fixed answer.
func Answer(status int, contentType, text string) Misbehaviour {
	return func(w http.ResponseWriter, _ []byte) bool {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		fmt.Fprint(w, text)
		return true
	}
}

// ServeHTTP implements http.Handler.
func (w *Witness) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		return // the client is gone
	}
	if r.Method == http.MethodGet {
		w.show(to, r)
		return
	}
	old, proof, note := w.parse(r.URL.Path, body)
	w.mu.Lock()
	w.peers[r.RemoteAddr] = true
	w.olds = append(w.olds, old)
	instead := w.instead
	w.mu.Unlock()
	if instead == nil || !instead(to, note) {
		w.cosign(to, old, proof, note)
	}
}

func (w *Witness) show(to http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := sha256.Sum256([]byte(w.origin))
	if r.URL.Path != "/"+hex.EncodeToString(sum[:])+"/checkpoint" || w.shown == nil {
		http.NotFound(to, r)
		return
	}
	if _, err := to.Write(w.shown); err != nil {
		return // the client is gone
	}
}

// parse reads a request of add-checkpoint strictly.
func (w *Witness) parse(path string, body []byte) (old uint64, proof []verify.Hash, note []byte) {
	head, note, ok := bytes.Cut(body, []byte("\n\n"))
	line, hashes, _ := strings.Cut(string(head)+"\n", "\n")
	if _, err := fmt.Sscanf(line, "old %d", &old); err != nil || !ok || fmt.Sprintf("old %d", old) != line {
		w.t.Errorf("request %q: %v", body, err)
	}
	proof, err := verify.ParseHashes([]byte(hashes))
	if err != nil || len(proof) > 63 || len(body) > maxRequest || path != "/add-checkpoint" {
		w.t.Errorf("request %s %q: %v", path, body, err)
	}
	return old, proof, note
}

// cosign is what the specification asks for.
func (w *Witness) cosign(to http.ResponseWriter, old uint64, proof []verify.Hash, note []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.log.OpenCheckpoint(note)
	switch {
	case err != nil:
		http.Error(to, "who is that?", http.StatusForbidden)
	case old > c.Size || old == 0 && len(proof) != 0:
		http.Error(to, "that makes no sense", http.StatusBadRequest)
	case old != w.size:
		to.Header().Set("Content-Type", "text/x.tlog.size")
		to.WriteHeader(http.StatusConflict)
		fmt.Fprintf(to, "%d\n", w.size)
	case w.size > 0 && verify.CheckConsistency(w.size, c.Size, w.root, c.Root, proof) != nil:
		http.Error(to, "no prefix", http.StatusUnprocessableEntity)
	default:
		w.size, w.root = c.Size, c.Root
		w.stamp++
		fmt.Fprint(to, w.Key.Line(note, w.stamp))
	}
}
