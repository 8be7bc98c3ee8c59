package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"google.golang.org/grpc/codes"

	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// checkpointCaching lets a cache keep the checkpoint for as long as clients of
	// tlog-tiles reckon with.
	checkpointCaching = "public, max-age=2"
	// What is at the path of a tile never changes. Caches that several people share
	// must not keep what not everybody may read.
	publicTileCaching  = "public, max-age=31536000, immutable"
	privateTileCaching = "private, max-age=31536000, immutable"

	// bundlesAtOnce bounds the entry bundles in memory: 16 MiB each at most, 130 KiB
	// of usual entries.
	bundlesAtOnce = 32
	// keptBundle is up to what size a buffer is used again.
	keptBundle = 1 << 20
)

// publicHandler serves the log as c2sp.org/tlog-tiles@v0.1.0 has it: the newest
// checkpoint to everybody, for it says nothing about an entry; tiles and entry
// bundles to mirrors and examiners, and to everybody where the log was made so.
func (s *Server) publicHandler() (http.Handler, error) {
	t := &tilePages{s: s, open: s.o.Log.PublicTiles(), slots: make(chan struct{}, bundlesAtOnce)}
	mux, err := s.pages(access.Public, map[string]http.HandlerFunc{
		"GET /checkpoint":             s.serveCheckpoint,
		"GET /tile/{path...}":         t.serve,
		"GET /tile/entries/{path...}": t.serve,
	})
	return plainHeaders(mux), err
}

func (s *Server) serveCheckpoint(w http.ResponseWriter, _ *http.Request) {
	note := s.o.Log.Note(s.o.Log.Head())
	if note == nil {
		_, reason := s.o.Log.Ready()
		http.Error(w, "the log is shut: "+reason, http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", checkpointCaching)
	h.Set("Content-Length", strconv.Itoa(len(note)))
	w.Write(note)
}

// routeOf is the rule of a page as it holds for this log: what the table of rules
// says of tiles is for logs that were not made with public ones.
func (s *Server) routeOf(pattern string) (access.Rule, bool) {
	rule, ok := access.RouteOf(pattern)
	if ok && rule.Tiles && s.o.Log.PublicTiles() {
		rule.Open = true
	}
	return rule, ok
}

// tilePages serves tiles and entry bundles. It is safe for concurrent use.
type tilePages struct {
	s       *Server
	open    bool // anybody may read them
	slots   chan struct{}
	buffers sync.Pool // of *[]byte
	packers sync.Pool // of *gzip.Writer
}

// errPlainTiles refuses tiles where no credential can be shown.
var errPlainTiles = &requestError{codes.PermissionDenied, ReasonNotAllowed,
	"the tiles of this log are for mirrors and examiners, who show a client certificate or a token, and this listener speaks plain HTTP: " +
		"configure `listeners.public.certificate` and `key`, and grant the role `mirror`; /checkpoint is open to everybody"}

// serve answers GET and HEAD of a tile or bundle.
func (t *tilePages) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	err := t.answer(w, r)
	t.s.o.Metrics.observe(access.Public, "GET /tile", time.Since(start), err)
	if err != nil {
		writeStatus(w, statusOf(r.Context(), t.s.o.Logger, "GET /tile", err))
	}
}

// answer writes the answer, or nothing where it returns an error.
func (t *tilePages) answer(w http.ResponseWriter, r *http.Request) error {
	tile, err := verify.ParseTilePath(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
	if err != nil {
		return badRequest("%v", err)
	}
	if size := t.s.o.Log.Head().Size; !tile.Within(size) {
		return notFound("the log has " + strconv.FormatUint(size, 10) + " entries: there is no " + verify.FormatTilePath(tile))
	}
	if tile.Entries {
		if err := t.take(r.Context()); err != nil {
			return err
		}
		defer func() { <-t.slots }()
	}
	buf, _ := t.buffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer func() {
		if cap(*buf) <= keptBundle {
			t.buffers.Put(buf)
		}
	}()
	if *buf, err = t.s.o.Log.TileAt((*buf)[:0], tile); err != nil {
		return err
	}
	if err := t.recorded(r.Context(), tile); err != nil {
		return err
	}
	t.write(w, r, tile, *buf)
	return nil
}

// take waits until one bundle more may be in memory.
func (t *tilePages) take(ctx context.Context) error {
	select {
	case t.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// recorded has the read of a bundle by a person written down before its first byte
// leaves. Tiles are hashes, and no read.
func (t *tilePages) recorded(ctx context.Context, tile verify.Tile) error {
	if t.open || !tile.Entries {
		return nil
	}
	c := callerOf(ctx)
	return t.s.journal.answered(ctx, access.Public, c, "GET /tile/entries", nil, nil, nil)
}

func (t *tilePages) write(w http.ResponseWriter, r *http.Request, tile verify.Tile, raw []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", privateTileCaching)
	if t.open {
		h.Set("Cache-Control", publicTileCaching)
	}
	if tile.Entries { // hashes cannot be made shorter
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			if r.Method != http.MethodHead {
				t.pack(w, raw)
			}
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	w.Write(raw)
}

// pack writes raw compressed. Who went away does not hear of it.
func (t *tilePages) pack(w http.ResponseWriter, raw []byte) {
	z, _ := t.packers.Get().(*gzip.Writer)
	if z == nil {
		z, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // cannot fail: the level is one
	}
	z.Reset(w)
	if _, err := z.Write(raw); err == nil {
		z.Close()
	}
	t.packers.Put(z)
}

// acceptsGzip tells whether a request asks for gzip (RFC 9110, section 12.5.3).
func acceptsGzip(headers []string) bool {
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			coding, parameters, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				continue
			}
			q, weighted := strings.CutPrefix(strings.TrimSpace(parameters), "q=")
			weight, err := strconv.ParseFloat(q, 64)
			return !weighted || err == nil && weight > 0
		}
	}
	return false
}
