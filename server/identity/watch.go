package identity

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"
)

// WatchEvery is how often files are looked at.
const WatchEvery = 2 * time.Second

// A Group is files that are read together.
type Group struct {
	Name string // such as `listener ingest`; a label of the metric
	// Files are the files to look at, which may change and be missing.
	Files func() []string
	// Load reads them and puts them in force. After an error what was in force
	// must still be.
	Load func() error
}

// A Watcher reads groups of files again when they change: their time, their size,
// or the file itself. A group that does not load is tried again at each look, and
// what was in force stays. Use it from one goroutine.
type Watcher struct {
	// Log is told of each change, and of each failure once; not nil.
	Log *slog.Logger
	// Loaded is told of each group that was read, and of its error; nil: nobody is.
	Loaded func(name string, err error)

	groups []*watched
}

type watched struct {
	Group
	seen   []fs.FileInfo // as of the last look; nil: missing
	names  []string
	failed string // the last error; empty: it loaded
	looked bool
}

// NewWatcher watches groups. The first look reads them all.
func NewWatcher(log *slog.Logger, loaded func(name string, err error), groups ...Group) *Watcher {
	w := &Watcher{Log: log, Loaded: loaded}
	for _, g := range groups {
		w.groups = append(w.groups, &watched{Group: g})
	}
	return w
}

// Run looks every so often until ctx ends.
func (w *Watcher) Run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.Look()
		}
	}
}

// Look looks once.
func (w *Watcher) Look() {
	for _, g := range w.groups {
		w.look(g)
	}
}

func (w *Watcher) look(g *watched) {
	changed := g.changed()
	if !changed && g.failed == "" {
		return
	}
	err := g.Load()
	if w.Loaded != nil && (changed || err == nil) {
		w.Loaded(g.Name, err)
	}
	switch {
	case err != nil && err.Error() != g.failed:
		w.Log.Error("files were not taken over: what was in force stays", "what", g.Name, "files", g.names, "error", err)
	case err == nil && g.looked:
		w.Log.Info("files were read again", "what", g.Name)
	}
	g.failed, g.looked = "", true
	if err != nil {
		g.failed = err.Error()
	}
}

// changed compares the files with the last look, and takes the new state. What
// changes while it is being read is seen by the next look.
func (g *watched) changed() bool {
	names := g.Files()
	seen := make([]fs.FileInfo, len(names))
	for i, name := range names {
		if info, err := os.Stat(name); err == nil {
			seen[i] = info
		}
	}
	same := g.looked && slices.Equal(names, g.names) && slices.EqualFunc(seen, g.seen, sameFile)
	g.names, g.seen = names, seen
	return !same
}

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
