package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"

	"github.com/daybook-ledger/daybook/verify"
)

// Options say what a log is held against.
type Options struct {
	// Policy is whom to trust; nil: signatures are not checked, and what passes is no
	// more than consistent in itself.
	Policy *verify.Policy
	// Older are checkpoints that were kept elsewhere: the log must begin with each.
	Older [][]byte
	// Workers hash and parse; 0: one for each core.
	Workers int
	// Progress is told now and then how many entries were checked; nil: nobody is.
	Progress func(done, total uint64)

	atOnce uint64 // bundles that are searched for the newest close; 0: cutsAtOnce
}

// A Report says what a check came to.
type Report struct {
	Checkpoint verify.Opened       // of the directory; empty where it does not open
	Bridge     uint64              // size of the checkpoint by which the policy's key led to a later one; 0: it signed itself
	Older      []verify.Checkpoint // that the log was shown to begin with
	Counts     Counts              // of the entries that passed
	Unread     []string            // names beside the log that nothing was said of
	Fault      *Fault              // nil: everything passed
}

// A Fault is what is wrong with a log: the first fault in its order that was met.
type Fault struct {
	Index uint64 // of the first entry that is concerned, where Known
	Known bool   // no entry is known: the whole log is concerned, or none
	File  string // where it shows; empty: in no single one
	Err   error
}

// Error implements error.
func (f *Fault) Error() string {
	text := f.Err.Error()
	if f.File != "" {
		text = f.File + ": " + text
	}
	if f.Known {
		text = fmt.Sprintf("entry %d: %s", f.Index, text)
	}
	return text
}

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }

// checkpointFile is the name of the checkpoint in a directory.
const checkpointFile = "checkpoint"

// maxCheckpoint bounds a note: each cosignature of ML-DSA takes 3 KiB.
const maxCheckpoint = 1 << 20

// Check checks the log in a directory. What is wrong with it is in the report; an
// error is the context's alone.
func Check(ctx context.Context, fsys fs.FS, o Options) (*Report, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.atOnce == 0 {
		o.atOnce = cutsAtOnce
	}
	for again := attempts; ; again-- {
		c := &check{fsys: fsys, o: o, r: &Report{}}
		err := c.run(ctx)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil && again > 1 && c.moved() {
			continue
		}
		if err != nil && !errors.As(err, &c.r.Fault) {
			c.r.Fault = &Fault{Err: err}
		}
		return c.r, nil
	}
}

// attempts is how often a directory is checked whose checkpoint was replaced
// meanwhile: by a mirror at work, which removes what the older one had.
const attempts = 3

// moved tells whether the directory has another checkpoint than the one that was
// checked.
func (c *check) moved() bool {
	note, err := readFile(c.fsys, checkpointFile, nil, maxCheckpoint)
	return err == nil && c.note != nil && !bytes.Equal(note, c.note)
}

// A check is one check of one directory.
type check struct {
	fsys fs.FS
	o    Options
	r    *Report
	note []byte // the checkpoint as it was signed
	// head is what the checkpoint says, whoever signed it.
	head     verify.Checkpoint
	size     uint64
	unsigned error            // no log of the policy signed it; nil: one did, or there is no policy
	keys     *verify.KeyChain // by the log's entries; nil: they were not read to their end
	later    []olderNote      // older checkpoints that no log of the policy signed
	// rooted: the tiles at the right edge give the root of the checkpoint, so that
	// they are what they should be.
	rooted bool
}

func (c *check) run(ctx context.Context) error {
	if err := c.open(); err != nil {
		return err
	}
	older, err := c.older()
	if err != nil {
		return err
	}
	if err := c.edge(); err != nil {
		return err
	}
	if c.rooted {
		if err := c.begins(older); err != nil {
			return err
		}
	}
	if c.size > 0 {
		if err := c.entries(ctx); err != nil {
			return err
		}
	}
	if !c.rooted {
		return errors.New("entries and tiles agree with one another, but not with the checkpoint, which says another root: one of them is of another log, or of another history of it")
	}
	if err := c.reign(); err != nil {
		return err
	}
	return c.files()
}

// open opens the checkpoint of the directory.
func (c *check) open() error {
	var err error
	if c.note, err = readFile(c.fsys, checkpointFile, nil, maxCheckpoint); err != nil {
		return &Fault{File: checkpointFile, Err: err}
	}
	if c.r.Checkpoint, err = c.opened(c.note); err != nil {
		if !errors.Is(err, verify.ErrUnsigned) {
			return &Fault{File: checkpointFile, Err: err}
		}
		c.unsigned = err
	}
	if c.head, err = verify.OpenUnverified(c.note); err != nil {
		return &Fault{File: checkpointFile, Err: err}
	}
	if c.unsigned != nil && !c.o.Policy.HasLog(c.head.Origin) {
		return &Fault{File: checkpointFile, Err: c.unsigned} // no entry makes it one of the policy's
	}
	c.size = c.head.Size
	if c.size == 0 && c.head.Root != verify.EmptyRoot() {
		return &Fault{File: checkpointFile, Err: errors.New("size 0 with another root than the empty one")}
	}
	return nil
}

func (c *check) opened(note []byte) (o verify.Opened, err error) {
	if c.o.Policy != nil {
		return c.o.Policy.Open(note)
	}
	o.Checkpoint, err = verify.OpenUnverified(note)
	return o, err
}

// edge compares the root that the tiles at the right edge give with the
// checkpoint's.
func (c *check) edge() error {
	root, err := verify.RootAt(c.size, c.nodes())
	c.rooted = root == c.head.Root
	return err
}

// nodes gives the nodes of the tree from the tiles of the directory.
func (c *check) nodes() verify.NodeFunc {
	return verify.NodesOf(c.size, func(t verify.Tile) ([]byte, error) { return c.tile(t, nil) })
}

// tile reads a tile; the error is a *Fault of the first entry below it.
func (c *check) tile(t verify.Tile, buf []byte) ([]byte, error) {
	name := verify.FormatTilePath(t)
	limit := verify.TileWidth * len(verify.Hash{})
	if t.Entries {
		limit = verify.TileWidth * (2 + maxEntry)
	}
	raw, err := readFile(c.fsys, name, buf, limit)
	if want := t.Width * len(verify.Hash{}); err == nil && !t.Entries && len(raw) != want {
		err = fmt.Errorf("%d bytes, not %d", len(raw), want)
	}
	if err != nil {
		return raw, &Fault{Index: t.N << (8 * (t.Level + 1)), Known: true, File: name, Err: err}
	}
	return raw, nil
}

// maxEntry is the longest entry that an entry bundle can hold.
const maxEntry = 1<<16 - 1
