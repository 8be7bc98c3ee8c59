package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/audit"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
)

// The members under log/ are a directory of c2sp.org/tlog-tiles@v0.1.0 as any
// program reads it: the checkpoint again, entry bundles and tiles, each at the
// width that it has at the checkpoint's size.
const (
	tilesPrefix     = "log/"
	nameTilesCheck  = tilesPrefix + "checkpoint"
	maxTileBytes    = verify.TileWidth * 32
	maxBundle       = verify.TileWidth * (2 + 1<<16)
	tileHeight      = 8
	levelsOfTheTree = 8
)

func tileName(name string) bool {
	if name == nameTilesCheck {
		return true
	}
	_, err := verify.ParseTilePath(strings.TrimPrefix(name, tilesPrefix))
	return err == nil
}

// tilesOf returns the resources of the entries [first, end) in the log of a size:
// the entry bundles that overlap them; at each level the tiles over them, and the
// partial tile at the right edge, from which the root is made.
func tilesOf(first, end, size uint64) iter.Seq[verify.Tile] {
	return func(yield func(verify.Tile) bool) {
		for n := first >> tileHeight; n <= (end-1)>>tileHeight; n++ {
			if !yield(verify.Tile{Entries: true, N: n, Width: verify.TileWidthAt(0, n, size)}) {
				return
			}
		}
		for level := uint(0); level < levelsOfTheTree && size>>(tileHeight*level) > 0; level++ {
			hashes := size >> (tileHeight * level)
			lo, hi := first>>(tileHeight*(level+1)), (end-1)>>(tileHeight*(level+1))
			for n := lo; n <= hi; n++ {
				if w := verify.TileWidthAt(level, n, size); w > 0 && !yield(verify.Tile{Level: level, N: n, Width: w}) {
					return
				}
			}
			edge := hashes >> tileHeight
			if w := verify.TileWidthAt(level, edge, size); w > 0 && (edge < lo || edge > hi) && !yield(verify.Tile{Level: level, N: edge, Width: w}) {
				return
			}
		}
	}
}

// A tileReader reads the tiles of a bundle, each held against the one above it,
// and so against the root. It remembers one tile of each level.
type tileReader struct {
	z    *archive
	size uint64
	last [levelsOfTheTree]struct {
		tile   verify.Tile
		hashes []byte
	}
}

// raw reads a tile that nothing was held against yet.
func (r *tileReader) raw(t verify.Tile) ([]byte, error) {
	return r.z.read(tilesPrefix+verify.FormatTilePath(t), maxTileBytes)
}

// root makes the log's root of the tiles at the right edge. All of their hashes
// are under it.
func (r *tileReader) root() (verify.Hash, error) {
	return verify.RootAt(r.size, verify.NodesOf(r.size, r.raw))
}

// tile reads tile n of a level and holds it against the one above. The root was
// held against the checkpoint before.
func (r *tileReader) tile(level uint, n uint64) ([]byte, error) {
	t := verify.Tile{Level: level, N: n, Width: verify.TileWidthAt(level, n, r.size)}
	last := &r.last[level]
	if last.hashes != nil && last.tile == t {
		return last.hashes, nil
	}
	hashes, err := r.raw(t)
	if err != nil {
		return nil, err
	}
	name := tilesPrefix + verify.FormatTilePath(t)
	if len(hashes) != t.Width*32 {
		return nil, faulty(name, "%d bytes, not %d", len(hashes), t.Width*32)
	}
	if t.Width == verify.TileWidth {
		above, err := r.tile(level+1, n>>tileHeight)
		if err != nil {
			return nil, err
		}
		at := int(n&(verify.TileWidth-1)) * 32
		if root := verify.TileRoot(hashes); !bytes.Equal(root[:], above[at:at+32]) {
			return nil, faulty(name, "it is not under the tile above it: %w", verify.ErrProof)
		}
	}
	last.tile, last.hashes = t, hashes
	return hashes, nil
}

// tiles checks the answer to a question for a range or a whole log.
func (p *pass) tiles() error {
	r := &tileReader{z: p.z, size: p.answer.Size}
	if err := p.tileFiles(); err != nil {
		return err
	}
	root, err := r.root()
	if err != nil {
		return inMember("", err)
	}
	if root != p.head.Checkpoint.Root {
		return faulty(tilesPrefix+"tile", "the tiles do not lead to the root that the checkpoint signs: %w", verify.ErrProof)
	}
	if p.question.Log {
		if err := p.audit(); err != nil {
			return err
		}
		if err := p.beginLog(r); err != nil {
			return err
		}
	}
	if p.question.Log {
		p.window.runsEnd = p.answer.Size
	}
	p.runs = newRunBook(nil, func(*run, uint64, uint64, func(verify.Hash)) error { return errMissing })
	p.runs.all = p.question.Log
	if p.out, err = report.NewWriter(p.head, p.sink); err != nil {
		return err
	}
	for n := p.answer.First >> tileHeight; n <= (p.answer.End-1)>>tileHeight; n++ {
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		if err := p.bundle(r, n); err != nil {
			return err
		}
	}
	return p.finishTiles()
}

// tileFiles checks that the members under log/ are those that are needed.
func (p *pass) tileFiles() error {
	checkpoint, err := p.z.read(nameTilesCheck, maxNote)
	if err != nil {
		return err
	}
	if own, err := p.z.read(nameCheckpoint, maxNote); err != nil || !bytes.Equal(own, checkpoint) {
		return faulty(nameTilesCheck, "it is not the file's checkpoint")
	}
	need, have := 1, 0
	for t := range tilesOf(p.answer.First, p.answer.End, p.answer.Size) {
		if name := tilesPrefix + verify.FormatTilePath(t); !p.z.has(name) {
			return faulty(name, "it is missing")
		}
		need++
	}
	for _, f := range p.z.manifest.Files {
		if l, _ := lineOf(f.Name); l == lineTiles {
			have++
		}
	}
	if have != need {
		return faulty(tilesPrefix, "%d files where %d are needed", have, need)
	}
	return nil
}

// entriesOf reads an entry bundle under its tile.
func (r *tileReader) entriesOf(n uint64) (name string, list [][]byte, err error) {
	hashes, err := r.tile(0, n)
	if err != nil {
		return "", nil, err
	}
	name = tilesPrefix + verify.FormatTilePath(verify.Tile{Entries: true, N: n, Width: len(hashes) / 32})
	raw, err := r.z.read(name, maxBundle)
	if err != nil {
		return name, nil, err
	}
	list, err = verify.ParseBundle(nil, raw, len(hashes)/32)
	if err != nil {
		return name, nil, inMember(name, err)
	}
	for i, raw := range list {
		if leaf := verify.HashLeaf(raw); !bytes.Equal(leaf[:], hashes[i*32:i*32+32]) {
			return name, nil, faultAt(name, n<<tileHeight+uint64(i), fmt.Errorf("it is not under its leaf: %w", verify.ErrProof))
		}
	}
	return name, list, nil
}

// bundle takes the entries of one entry bundle.
func (p *pass) bundle(r *tileReader, n uint64) error {
	name, list, err := r.entriesOf(n)
	if err != nil {
		return err
	}
	for i, raw := range list {
		index := n<<tileHeight + uint64(i)
		e := &knownEntry{raw: raw, member: name}
		if e.Entry, err = parseEntry(name, raw); err != nil {
			return err
		}
		if e.Place.Index != index {
			return faultAt(name, index, fmt.Errorf("it says that its index is %d", e.Place.Index))
		}
		if index < p.answer.First || index >= p.answer.End {
			continue
		}
		if err := p.takeTiled(e); err != nil {
			return inEntry(e, err)
		}
	}
	return nil
}

// takeTiled takes the next entry of a range or a whole log.
func (p *pass) takeTiled(e *knownEntry) error {
	if e.Head.LogTimeNS < p.ns {
		return errors.New("its log time is before that of an earlier entry")
	}
	p.ns = e.Head.LogTimeNS
	leaf := verify.HashLeaf(e.raw)
	p.saw(e.Place.Index, leaf)
	kind := e.Place.Kind
	if kind == daybookv1.Kind_KIND_ACCESS {
		return p.takeAccess(e, &stream{asked: true}, leaf, true, p.window.ofRuns(e.Place.Index))
	}
	if p.question.Log {
		if err := p.judged(e, nil, nil); err != nil {
			return err
		}
		if err := p.judge.Apply(e.Place.Index, e.Head.LogTimeNS, kind, e.Body); err != nil {
			return err
		}
		if v := p.judge.InForce(); v != nil && kind == daybookv1.Kind_KIND_DOMAIN_MAP {
			p.summary.Maps = append(p.summary.Maps, v)
		}
	}
	if err := p.runs.follow(&e.Entry, p.window.ofRuns(e.Place.Index), true); err != nil {
		return err
	}
	switch kind {
	case daybookv1.Kind_KIND_GAP:
		p.gaps++
	case daybookv1.Kind_KIND_CLOSE:
		return p.takeClose(e, leaf, true)
	case daybookv1.Kind_KIND_ALERT:
		return p.takeAlert(e)
	}
	return nil
}

// audit derives a whole log anew.
func (p *pass) audit() error {
	r, err := audit.Check(p.ctx, newArchiveFS(p.z, tilesPrefix), audit.Options{Policy: p.policy})
	if err != nil {
		return err
	}
	if f := r.Fault; f != nil {
		out := &Fault{Member: tilesPrefix + f.File, Err: f.Err}
		if f.Known {
			out.Index = &f.Index
		}
		return out
	}
	return nil
}

// beginLog reads entry 0 and the newest close of a whole log.
func (p *pass) beginLog(r *tileReader) error {
	read := func(index uint64) (verify.Entry, error) {
		name, list, err := r.entriesOf(index >> tileHeight)
		if err != nil {
			return verify.Entry{}, err
		}
		return parseEntry(name, list[index&(verify.TileWidth-1)])
	}
	e, err := read(0)
	if err != nil {
		return err
	}
	p.head.Opened, p.head.OpenedNS = new(daybookv1.OriginOpened), e.Head.LogTimeNS
	if err := proto.Unmarshal(e.Body, p.head.Opened); err != nil {
		return inMember(nameTilesCheck, err)
	}
	if p.answer.Close == nil {
		return nil
	}
	if e, err = read(*p.answer.Close); err != nil {
		return err
	}
	c, err := verify.CheckCloseEntry(&e)
	if err == nil && c.Cut != *p.answer.Cut {
		err = fmt.Errorf("the cut of the close at %d is %d", *p.answer.Close, c.Cut)
	}
	if err != nil {
		return inMember(nameAnswer, err)
	}
	p.head.Close, p.head.CloseIndex, p.head.Cut = c, e.Place.Index, c.Cut
	return nil
}

// finishTiles ends the report of a range or a whole log.
func (p *pass) finishTiles() error {
	if p.question.Log && (p.answer.Close == nil) != (p.closeIn == nil) || p.answer.Close != nil && p.closeAt != *p.answer.Close {
		return faulty(nameAnswer, "its close is not the newest below size %d", p.answer.Size)
	}
	if p.question.Log {
		if err := p.mayHaveSigned(p.judge.Keys()); err != nil {
			return err
		}
		if err := p.writeMaps(p.summary.Maps); err != nil {
			return err
		}
	}
	runs := p.runs.finish()
	p.summarize(runs)
	accepted := report.Claim{Name: report.ClaimAccepted, State: report.Proved,
		Detail: fmt.Sprintf("these %d answers are all that the log took in entries %d to %d", p.summary.Answers, p.answer.First, p.answer.End-1)}
	numbered, authorized := p.numbered(runs), p.authorized()
	if !p.question.Log {
		numbered = report.Claim{Name: report.ClaimNumbered, State: report.NotClaimed, Detail: "a range of entries does not show runs whole"}
		authorized = report.Claim{Name: report.ClaimAuthorized, State: report.NotClaimed, Detail: "a range of entries does not show the maps and approvals before it"}
	}
	p.summary.Claims = []report.Claim{p.unaltered(), accepted, numbered, authorized, countersigned(p.head.Checkpoint.Witnesses)}
	return toReport(p.out.Finish(p.summary))
}
