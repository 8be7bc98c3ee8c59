package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/client/mirror"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/audit"
)

// A fetched is one answer of the public listener.
type fetched struct {
	code   int
	header http.Header
	body   []byte
}

// fetch requests a page; the transport unpacks nothing.
func fetch(t *testing.T, c *http.Client, method, url string, header ...string) fetched {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return fetched{resp.StatusCode, resp.Header, body}
}

// reasonIn is the reason in an answer that refuses.
func (f *fetched) reasonIn() string {
	var st struct {
		Details []struct{ Reason string }
	}
	if json.Unmarshal(f.body, &st) != nil || len(st.Details) == 0 {
		return ""
	}
	return st.Details[0].Reason
}

// fillTiles appends n events.
func (w *world) fillTiles(t *testing.T, n int) {
	t.Helper()
	c := w.ingest(t)
	run := openRun(t, c)
	for first := 1; first <= n; first += 500 {
		if _, err := c.Append(t.Context(), batch(t, run, uint64(first), min(500, n+1-first))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPublicTilesAreAnybodys(t *testing.T) {
	w := newWorldOn(t, world{publicTiles: true})
	w.fillTiles(t, 700)
	base, c := "http://"+w.addresses.Public, web(t, nil)
	note := fetch(t, c, "GET", base+"/checkpoint")
	if note.code != 200 || note.header.Get("Content-Type") != "text/plain; charset=utf-8" || note.header.Get("Cache-Control") != "public, max-age=2" {
		t.Errorf("checkpoint: %d, %v", note.code, note.header)
	}
	policy, err := verify.KeyPolicy(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	head, err := policy.OpenCheckpoint(note.body)
	if err != nil {
		t.Fatal(err)
	}
	tile := func(tile verify.Tile) []byte {
		f := fetch(t, c, "GET", base+"/"+verify.FormatTilePath(tile))
		if f.code != 200 || f.header.Get("Content-Type") != "application/octet-stream" ||
			f.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || f.header.Get("Content-Encoding") != "" {
			t.Fatalf("%s: %d, %v", verify.FormatTilePath(tile), f.code, f.header)
		}
		return f.body
	}
	nodes := verify.NodesOf(head.Size, func(at verify.Tile) ([]byte, error) { return tile(at), nil })
	if root, err := verify.RootAt(head.Size, nodes); err != nil || root != head.Root {
		t.Errorf("the tiles give root %x, %v", root, err)
	}
	index := uint64(0)
	for n := uint64(0); verify.TileWidthAt(0, n, head.Size) > 0; n++ {
		width := verify.TileWidthAt(0, n, head.Size)
		raw := tile(verify.Tile{Entries: true, N: n, Width: width})
		list, err := verify.ParseBundle(nil, raw, width)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range list {
			if leaf, err := nodes(0, index); err != nil || leaf != verify.HashLeaf(entry) {
				t.Fatalf("entry %d is not under its leaf: %v", index, err)
			}
			index++
		}
		if some := tile(verify.Tile{Entries: true, N: n, Width: 1}); !bytes.Equal(some, raw[:len(list[0])+2]) {
			t.Errorf("bundle %d of width 1 is not the beginning of it", n)
		}
	}
	if index != head.Size {
		t.Errorf("%d entries of %d", index, head.Size)
	}
}

func TestWhatIsNoTileIsNotFound(t *testing.T) {
	w := newWorldOn(t, world{publicTiles: true})
	w.fillTiles(t, 300)
	base, c := "http://"+w.addresses.Public, web(t, nil)
	for path, code := range map[string]int{
		"tile/0/000.p/17": 200, "tile/entries/000.p/17": 200, "tile/1/000.p/1": 200, "tile/0/000": 200,
		"tile/0/001": 404, "tile/0/001.p/255": 404, "tile/0/002.p/1": 404, "tile/1/000.p/2": 404, "tile/2/000.p/1": 404, "tile/63/000": 404,
		"tile/entries/001": 404, "tile/entries/x001/000": 404, "tile/0/x999/x999/x999/999": 404,
		"tile/0/000.p/0": 400, "tile/0/000.p/256": 400, "tile/0/000.p/01": 400, "tile/00/000": 400, "tile/0/0": 400, "tile/0/x000/000": 400,
		"tile/64/000": 400, "tile/entries/": 400, "tile/0/%30%30%30": 400, "tile/data/000": 400, "tile/": 400,
	} {
		f := fetch(t, c, "GET", base+"/"+path)
		if f.code != code || code != 200 && f.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, %q; want %d", path, f.code, f.header.Get("Cache-Control"), code)
		}
	}
	if f := fetch(t, c, "POST", base+"/tile/0/000"); f.code != 405 {
		t.Errorf("a POST is answered with %d", f.code)
	}
}

func TestBundlesArePackedWhereThatIsAskedFor(t *testing.T) {
	w := newWorldOn(t, world{publicTiles: true})
	w.fillTiles(t, 300)
	base, c := "http://"+w.addresses.Public, web(t, nil)
	plain := fetch(t, c, "GET", base+"/tile/entries/000")
	for asked, packed := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "GZIP": true, "gzip;q=0": false, "identity": false, "br": false, "": false, "*": false} {
		f := fetch(t, c, "GET", base+"/tile/entries/000", "Accept-Encoding", asked)
		if f.code != 200 || (f.header.Get("Content-Encoding") == "gzip") != packed || f.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("asked for %q: %d, %v", asked, f.code, f.header)
			continue
		}
		if packed {
			z, err := gzip.NewReader(bytes.NewReader(f.body))
			if err != nil {
				t.Fatal(err)
			}
			if f.body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(f.body, plain.body) {
			t.Errorf("asked for %q, the bundle differs", asked)
		}
	}
	if f := fetch(t, c, "GET", base+"/tile/0/000", "Accept-Encoding", "gzip"); f.header.Get("Content-Encoding") != "" || len(f.body) != 8192 {
		t.Errorf("a tile: %v, %d bytes", f.header, len(f.body))
	}
	for _, path := range []string{"/tile/entries/000", "/tile/0/000", "/checkpoint"} {
		f := fetch(t, c, "HEAD", base+path)
		if f.code != 200 || len(f.body) != 0 || f.header.Get("Content-Length") == "" {
			t.Errorf("HEAD %s: %d, %v", path, f.code, f.header)
		}
	}
}

func TestTilesNeedACredential(t *testing.T) {
	w, issuer := peopled(t)
	w.fillTiles(t, 300)
	base := "https://" + w.addresses.Public
	paths := []string{"/tile/0/000", "/tile/entries/000"}
	for _, who := range everybody {
		c := web(t, w.tlsOf(t, w.ca, who.certificate, time.Now()))
		var header []string
		if who.subject != "" {
			header = []string{"Authorization", "Bearer " + who.token(t, issuer, access.Public)}
		}
		if f := fetch(t, c, "GET", base+"/checkpoint", header...); f.code != 200 {
			t.Errorf("%s: checkpoint is %d", who.name, f.code)
		}
		want := 403
		if len(who.roles[access.Public]) > 0 {
			want = 200
		}
		for _, path := range paths {
			f := fetch(t, c, "GET", base+path, header...)
			if f.code != want || want == 200 && f.header.Get("Cache-Control") != "private, max-age=31536000, immutable" {
				t.Errorf("%s: %s is %d, %v: %s", who.name, path, f.code, f.header, f.body)
			}
		}
	}
	for _, path := range paths {
		if f := fetch(t, web(t, w.tlsOf(t, w.ca, "", time.Now())), "GET", base+path); f.code != 401 || f.reasonIn() != server.ReasonUnauthenticated {
			t.Errorf("without an identity %s is %d: %s", path, f.code, f.body)
		}
	}
	// A token for another listener is none here.
	f := fetch(t, web(t, w.tlsOf(t, w.ca, "", time.Now())), "GET", base+paths[0], "Authorization", "Bearer "+issuer.Token(t, "mia", audiences[access.Query]))
	if f.code != 401 {
		t.Errorf("a token for query is answered with %d: %s", f.code, f.body)
	}
}

func TestAnExaminersBundlesAreAReadAndAMirrorsAreNone(t *testing.T) {
	w, issuer := peopled(t)
	w.fillTiles(t, 600)
	base := "https://" + w.addresses.Public
	examiner := web(t, w.tlsOf(t, w.ca, "spiffe://people.example/examiner", time.Now()))
	mirror := web(t, w.tlsOf(t, w.ca, "spiffe://people.example/mirror", time.Now()))
	reads := func() []*daybookv1.Activity { return activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_READ) }
	fetch(t, examiner, "GET", base+"/tile/0/000")
	for n := range 2 {
		fetch(t, mirror, "GET", fmt.Sprintf("%s/tile/entries/00%d", base, n))
		fetch(t, web(t, w.tlsOf(t, w.ca, "", time.Now())), "GET", fmt.Sprintf("%s/tile/entries/00%d", base, n), "Authorization", "Bearer "+issuer.Token(t, "mia", "p"))
	}
	fetch(t, examiner, "GET", base+"/tile/entries/999")
	if list := reads(); len(list) != 0 {
		t.Fatalf("no bundle was read by a person, the log says %v", list)
	}
	for n := range 2 {
		if f := fetch(t, examiner, "GET", fmt.Sprintf("%s/tile/entries/00%d", base, n)); f.code != 200 {
			t.Fatalf("bundle %d is %d: %s", n, f.code, f.body)
		}
		list := reads()
		if len(list) != 1 || list[0].GetMethod() != "GET /tile/entries" || list[0].GetActor() != "spiffe://people.example/examiner" ||
			list[0].GetListener() != access.Public || list[0].GetApproval() == 0 {
			t.Fatalf("after bundle %d the log says %v", n, list)
		}
	}
}

func TestPlainHTTPHasNoTilesButPublicOnes(t *testing.T) {
	w := newWorld(t)
	w.fillTiles(t, 10)
	for _, path := range []string{"/tile/0/000.p/1", "/tile/entries/000.p/1"} {
		f := fetch(t, web(t, nil), "GET", "http://"+w.addresses.Public+path, "Authorization", "Bearer x")
		if f.code != 403 || f.reasonIn() != server.ReasonNotAllowed || !strings.Contains(string(f.body), "listeners.public.certificate") {
			t.Errorf("%s: %d: %s", path, f.code, f.body)
		}
	}
	if f := fetch(t, web(t, nil), "GET", "http://"+w.addresses.Public+"/checkpoint"); f.code != 200 {
		t.Errorf("checkpoint is %d", f.code)
	}
}

// TestAMirrorOfALogThatIsNotPublic keeps a copy by a client certificate while the log
// grows, and has the auditor's check derive it.
func TestAMirrorOfALogThatIsNotPublic(t *testing.T) {
	w, _ := peopled(t)
	policy, err := verify.KeyPolicy(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	m, err := mirror.Open(mirror.Config{From: "https://" + w.addresses.Public, Dir: dir, Policy: policy, Patience: time.Second,
		Client: web(t, w.tlsOf(t, w.ca, "spiffe://people.example/mirror", time.Now()))})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	before := uint64(0)
	for _, n := range []int{3, 300, 1, 600} {
		w.fillTiles(t, n)
		step, err := m.Once(t.Context())
		if err != nil || step.Before != before || step.Size < before+uint64(n) {
			t.Fatalf("%+v, %v", step, err)
		}
		before = step.Size
		r, err := audit.Check(t.Context(), os.DirFS(dir), audit.Options{Policy: policy})
		if err != nil || r.Fault != nil || r.Counts.Entries != step.Size {
			t.Fatalf("the copy: %+v, %v, %v", r.Counts, r.Fault, err)
		}
	}
	if list := activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_READ); len(list) != 0 {
		t.Errorf("a mirror's reads are in the log: %v", list)
	}
	reader, err := mirror.Open(mirror.Config{From: "https://" + w.addresses.Public, Dir: t.TempDir(), Policy: policy,
		Client: web(t, w.tlsOf(t, w.ca, "spiffe://people.example/reader", time.Now()))})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var refused *mirror.RefusedError
	if _, err := reader.Once(t.Context()); !errors.As(err, &refused) || !strings.Contains(refused.Text, "reader") {
		t.Errorf("a reader mirrors: %v", err)
	}
}
