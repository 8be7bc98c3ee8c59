package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/daybook-ledger/daybook/verify"
)

// Config says what is mirrored, and where to. From, Dir and Policy must be set.
type Config struct {
	// From is the URL of the log's public listener: http or https, with a path where
	// the log has one.
	From string
	// Dir is the directory of the copy; it is made.
	Dir string
	// Policy is whom to trust. It is immutable.
	Policy *verify.Policy
	// Client makes the requests, with the client certificate in its transport; nil:
	// http.DefaultClient.
	Client *http.Client
	// Token returns the bearer token of a request; nil: none is sent.
	Token func() (string, error)
	// Workers fetch at once; 0: 8.
	Workers int
	// Keep keeps each checkpoint that was mirrored in .mirror/checkpoints.
	Keep bool
	// Patience is for how long a request is tried again; 0: 30 s.
	Patience time.Duration
	// Progress is told how many entries of a step were copied, from one goroutine at
	// a time; nil: nobody is.
	Progress func(done, total uint64)
}

func (c *Config) validate() error {
	var faults []error
	if c.From == "" {
		faults = append(faults, errors.New("no URL to mirror from"))
	}
	if c.Dir == "" {
		faults = append(faults, errors.New("no directory to mirror to"))
	}
	if c.Policy == nil {
		faults = append(faults, errors.New("no policy: a mirror must know whom to trust"))
	}
	if c.Client == nil {
		c.Client = http.DefaultClient
	}
	if c.Workers <= 0 {
		c.Workers = 8
	}
	if c.Patience <= 0 {
		c.Patience = 30 * time.Second
	}
	return errors.Join(faults...)
}

// A Mirror is a copy that one process keeps. It is not safe for concurrent use.
type Mirror struct {
	c      Config
	source *source
	dir    *dir
}

// Open opens the copy, making it where there is none. Another process that has it
// open is an error.
func Open(c Config) (*Mirror, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	s, err := newSource(&c)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	d, err := openDir(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	return &Mirror{c: c, source: s, dir: d}, nil
}

// Close lets go of the copy.
func (m *Mirror) Close() error { return m.dir.close() }

// A Step says what one look at the source came to.
type Step struct {
	Origin    string
	Before    uint64 // size of the copy before; 0: there was none
	Size      uint64 // size of the copy now
	Root      verify.Hash
	Witnesses []verify.Cosigned
	Bundles   uint64 // entry bundles fetched
	Tiles     uint64 // tiles written, those of hashes of entries among them
	Bytes     uint64 // of both
	// Behind is the size of the source's checkpoint where it is older than the copy;
	// 0: it is not. The copy stays as it is.
	Behind uint64
}

// A ForkError says that the source shows another history than the mirrored one.
type ForkError struct {
	Kept, Presented verify.Checkpoint
	Evidence        string // folder with both, as they were signed
}

// Error implements error.
func (e *ForkError) Error() string {
	return fmt.Sprintf("FORK: the log of size %d that the source presents does not go on from the mirrored one of size %d: both were signed, so the log showed two histories; "+
		"nothing was replaced, and both checkpoints are kept in %s", e.Presented.Size, e.Kept.Size, e.Evidence)
}

// Once brings the copy to the source's newest checkpoint. After an error the copy is
// what it was, and what was fetched already is used by the next call; *ForkError is
// for good.
func (m *Mirror) Once(ctx context.Context) (Step, error) {
	if err := m.dir.stopped(); err != nil {
		return Step{}, err
	}
	note, err := m.source.get(ctx, checkpointFile, maxCheckpoint)
	if err != nil {
		return Step{}, err
	}
	theirs, err := m.c.Policy.Open(note)
	if err != nil {
		return Step{}, fmt.Errorf("checkpoint of the source: %w", err)
	}
	ours, kept, err := m.kept()
	if err != nil {
		return Step{}, err
	}
	step := Step{Origin: theirs.Origin, Before: ours.Size, Size: theirs.Size, Root: theirs.Root, Witnesses: theirs.Witnesses}
	if kept != nil && ours.Origin != theirs.Origin {
		return step, fmt.Errorf("%s holds the log %q, the source has %q: mirror it to another directory", m.c.Dir, ours.Origin, theirs.Origin)
	}
	c := &copying{m: m, old: ours.Checkpoint, new: theirs.Checkpoint, step: &step}
	if kept != nil && theirs.Size <= ours.Size {
		return step, m.notLonger(ctx, c, kept, note, &ours, &theirs)
	}
	if err := c.prove(ctx); err != nil {
		if errors.Is(err, errHistory) {
			return step, m.fork(c, kept, note)
		}
		return step, err
	}
	if err := c.run(ctx); err != nil {
		return step, err
	}
	return step, m.publish(c, note)
}

// Run looks at the source at once and then every so often, over 0, until ctx ends or a step fails for good:
// other failures are told, and tried again at the next time.
func (m *Mirror) Run(ctx context.Context, every time.Duration, tell func(Step, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		step, err := m.Once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		tell(step, err)
		if final(err) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// final tells whether trying again is of no use.
func final(err error) bool {
	var fork *ForkError
	var refused *RefusedError
	return errors.As(err, &fork) || errors.As(err, &refused) || errors.Is(err, ErrStopped)
}

// kept opens the mirrored checkpoint; nil: there is none.
func (m *Mirror) kept() (verify.Opened, []byte, error) {
	note, err := m.dir.checkpoint()
	if err != nil || note == nil {
		return verify.Opened{}, nil, err
	}
	o, err := m.c.Policy.Open(note)
	if errors.Is(err, verify.ErrUnsigned) {
		return o, nil, fmt.Errorf("the mirrored checkpoint, %s: %w; where the log's key was replaced since, the policy needs the one before, too", m.dir.path(checkpointFile), err)
	}
	if err != nil {
		return o, nil, fmt.Errorf("the mirrored checkpoint, %s: %w", m.dir.path(checkpointFile), err)
	}
	return o, note, nil
}

// notLonger looks at a source whose log is not longer than the copy.
func (m *Mirror) notLonger(ctx context.Context, c *copying, kept, note []byte, ours, theirs *verify.Opened) error {
	var root verify.Hash
	t, err := newTree(ctx, ours.Checkpoint, m.dir.tile)
	if err == nil {
		root, err = verify.RootAt(theirs.Size, verify.NodesOf(ours.Size, t.tile))
	}
	switch {
	case err != nil:
		return fmt.Errorf("the copy is not what its checkpoint covers: %w; check it with `daybook-verify log`, keep it, and begin another", err)
	case root != theirs.Root:
		return m.fork(c, kept, note)
	case theirs.Size < ours.Size:
		c.step.Behind, c.step.Size, c.step.Root = theirs.Size, ours.Size, ours.Root
		return nil
	case len(theirs.Witnesses) < len(ours.Witnesses) || string(note) == string(kept):
		return nil
	}
	return m.dir.replaceCheckpoint(note) // the same, under newer cosignatures
}

// fork keeps the evidence, and ends the mirroring.
func (m *Mirror) fork(c *copying, kept, note []byte) error {
	where, err := m.dir.saveEvidence(map[string][]byte{
		fmt.Sprintf("mirrored-%d.checkpoint", c.old.Size): kept, fmt.Sprintf("presented-%d.checkpoint", c.new.Size): note})
	return errors.Join(&ForkError{Kept: c.old, Presented: c.new, Evidence: where}, err)
}

// publish moves what was staged to its place and then replaces the checkpoint.
func (m *Mirror) publish(c *copying, note []byte) error {
	if err := m.dir.publish(c.new.Size); err != nil {
		return fmt.Errorf("moving new files to their places: %w", err)
	}
	if err := m.dir.replaceCheckpoint(note); err != nil {
		return fmt.Errorf("replacing the checkpoint: %w", err)
	}
	if m.c.Keep {
		if err := m.dir.keep(fmt.Sprintf("checkpoints/%d.checkpoint", c.new.Size), note); err != nil {
			return fmt.Errorf("keeping the checkpoint: %w", err)
		}
	}
	return m.dir.sweep(c.old.Size, c.new.Size)
}

// ErrStopped says that an earlier step found a fork, whose evidence is kept.
var ErrStopped = errors.New("mirroring was stopped by a fork of the log")

// stopped is an error while there is evidence of a fork.
func (d *dir) stopped() error {
	where := d.own("evidence")
	list, err := os.ReadDir(where)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(list) == 0 {
		return nil
	}
	return errors.Join(fmt.Errorf("%w: the evidence is in %s", ErrStopped, where), err)
}
