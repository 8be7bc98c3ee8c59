package bundle

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// A pass reads the members that are no function of others, proves them, and hands
// what they prove to the report, whose members it so makes anew. An exporter runs
// it to make them, a verifier to compare them.
type pass struct {
	ctx  context.Context
	z    *archive
	sink report.Sink

	// numbers gives bodies that are not in the bundle; nil: numbers.bin does.
	numbers numbering

	question *question.Question
	answer   *answer
	policy   *verify.Policy
	keys     *verify.KeyChain // that the log has had; nil: not known
	head     *report.Head
	window   window
	judge    *domains.Judge
	runs     *runBook
	scope    *scope
	watched  map[uint64]*verify.Hash // leaves of entries that receipts are of; nil: none are
	streams  map[verify.StreamKey]*stream
	order    []*stream // as the rows
	tree     *fold
	out      *report.Writer
	summary  *report.Summary

	lowest, highest uint64 // known entries in the window or in that of runs are in [lowest, highest)

	closeIn   *daybookv1.Close // the known close before
	closeAt   uint64           // its index
	ns        int64            // log time of the entry before
	event     daybookv1.Event
	verdicts  [32]uint64
	alerts    [64]uint64
	misjudged error // the first judgement that differs
	wrongAt   uint64
	losses    map[string]*report.Loss // by producer; nil: none
	gaps      uint64                  // entries in the window by which numbers are declared as lost, of runs with answers or without
}

// examine runs a pass over an archive. The summary is under the file's own
// policy. An error is a *Fault, or one of reading or of the sink.
func examine(ctx context.Context, z *archive, sink report.Sink, numbers numbering, watched map[uint64]*verify.Hash) (*pass, error) {
	p := &pass{ctx: ctx, z: z, sink: sink, judge: new(domains.Judge), numbers: numbers, watched: watched, lowest: verify.MaxSize}
	if err := p.begin(); err != nil {
		return p, err
	}
	if p.question.Tiles() {
		return p, p.tiles()
	}
	versions, err := p.governance()
	if err != nil {
		return p, err
	}
	if p.summary.Checkpoints, err = readHistory(p.z, p.policy, p.keys, p.head.Checkpoint); err != nil {
		return p, err
	}
	if err := p.table(versions); err != nil {
		return p, err
	}
	return p, p.entries()
}

// begin reads what says which answer it is, and of which checkpoint.
func (p *pass) begin() error {
	text, err := p.z.read(nameQuestion, question.MaxSize)
	if err == nil {
		p.question, err = question.Parse(text)
	}
	if err != nil {
		return inMember(nameQuestion, err)
	}
	if text, err = p.z.read(nameAnswer, maxManifest); err == nil {
		p.answer, err = parseAnswer(text, p.question)
	}
	if err != nil {
		return inMember(nameAnswer, err)
	}
	if text, err = p.z.read(namePolicy, maxPolicy); err == nil {
		p.policy, err = verify.ParsePolicy(text)
	}
	if err != nil {
		return inMember(namePolicy, err)
	}
	opened, err := openNote(p.z, nameCheckpoint, p.policy)
	if err != nil {
		return err
	}
	a := p.answer
	if opened.Origin != a.Origin || opened.Size != a.Size || a.Origin != p.z.manifest.Origin {
		return faulty(nameAnswer, "it is of log %q at size %d, the checkpoint of log %q at size %d, the manifest of log %q",
			a.Origin, a.Size, opened.Origin, opened.Size, p.z.manifest.Origin)
	}
	for _, f := range p.z.manifest.Files {
		if l, _ := lineOf(f.Name); !l.in(p.question) {
			return faulty(f.Name, "it has no place in an answer to this question")
		}
	}
	p.head = &report.Head{Origin: a.Origin, Question: p.question, Part: a.Part, Parts: a.Parts, First: a.First, End: a.End,
		Checkpoint: opened, Policy: text}
	p.summary = &report.Summary{Head: p.head}
	p.window = window{first: a.First, end: a.End}
	p.window.lo, p.window.hi = p.question.Logged()
	if a.RunsFirst != nil {
		p.window.runsFirst, p.window.runsEnd = *a.RunsFirst, *a.RunsEnd
	}
	return nil
}

// inMember makes a fault of an error of a member, unless it is one.
func inMember(name string, err error) error {
	var f *Fault
	if errors.As(err, &f) {
		return err
	}
	return &Fault{Member: name, Err: err}
}

// governance reads the entries that maps and approvals follow from, a first time,
// and returns the versions of the map below the cut.
func (p *pass) governance() ([]*domains.Version, error) {
	in := p.z.open(nameGovernance)
	var judge domains.Judge
	var versions []*domains.Version
	var buf []byte
	for {
		raw, err := in.item(buf)
		if err != nil {
			return nil, err
		}
		if raw == nil {
			return nil, faulty(nameGovernance, "the entry of the close is not its last")
		}
		buf = raw
		e, err := parseEntry(in.name, raw)
		if err != nil {
			return nil, err
		}
		if e.Place.Index >= *p.answer.Cut {
			if err := p.closing(&e, in); err != nil {
				return nil, faultAt(in.name, e.Place.Index, err)
			}
			return versions, p.mayHaveSigned(judge.Keys())
		}
		if !isGoverned(e.Place.Kind) {
			return nil, faultAt(in.name, e.Place.Index, fmt.Errorf("an entry of kind %s stands elsewhere", domains.Word(e.Place.Kind)))
		}
		if err := judge.Apply(e.Place.Index, e.Head.LogTimeNS, e.Place.Kind, e.Body); err != nil {
			return nil, faultAt(in.name, e.Place.Index, err)
		}
		versions = noteVersion(versions, &judge)
		if e.Place.Kind == daybookv1.Kind_KIND_ORIGIN_OPENED && e.Place.Index == 0 {
			p.head.Opened, p.head.OpenedNS = new(daybookv1.OriginOpened), e.Head.LogTimeNS
			if err := proto.Unmarshal(e.Body, p.head.Opened); err != nil {
				return nil, faultAt(in.name, 0, err)
			}
		}
	}
}

// mayHaveSigned checks the checkpoint under the keys that the log has had.
func (p *pass) mayHaveSigned(keys *verify.KeyChain) error {
	if p.keys = keys; keys == nil {
		return nil
	}
	note, err := p.z.read(nameCheckpoint, maxNote)
	if err != nil {
		return err
	}
	_, err = keys.OpenCheckpoint(note)
	if errors.Is(err, verify.ErrUnsigned) {
		return nil // by a key that came after the cut: the policy knows it
	}
	if err != nil {
		return faulty(nameCheckpoint, "under the keys that the log's entries name: %w", err)
	}
	return nil
}

// closing takes the entry of the close whose tables are used.
func (p *pass) closing(e *verify.Entry, in *memberReader) error {
	c, err := verify.CheckCloseEntry(e)
	if err != nil {
		return err
	}
	if e.Place.Index != *p.answer.Close || c.Cut != *p.answer.Cut {
		return fmt.Errorf("it is the close at %d with cut %d, not that of the answer", e.Place.Index, c.Cut)
	}
	if p.head.Opened == nil || p.head.Opened.Origin != p.answer.Origin {
		return errors.New("entry 0 is not here, or opens another log")
	}
	p.head.Close, p.head.CloseIndex, p.head.Cut = c, e.Place.Index, c.Cut
	return in.done()
}

// parseEntry reads an entry and its body by the grammar. It aliases raw.
func parseEntry(name string, raw []byte) (verify.Entry, error) {
	e, err := verify.ParseEntry(raw)
	if err == nil && e.Place.Kind != daybookv1.Kind_KIND_ACCESS {
		err = verify.CheckBody(e.Place.Kind, e.Body)
	}
	if err != nil {
		return e, inMember(name, err)
	}
	return e, nil
}

// table reads the rows that are known and the streams that they select.
func (p *pass) table(versions []*domains.Version) error {
	rows, err := readRows(p.z, p.head.Close.Streams)
	if err != nil {
		return err
	}
	s := newScope(p.question, versions, p.answer.Domains)
	p.scope = s
	for _, r := range rows {
		s.note(verify.StreamKey(r.Key))
	}
	if err := checkRows(rows, p.head.Close.Streams.Rows, s.prefixes()); err != nil {
		return err
	}
	in := p.z.open(nameStreams)
	p.streams = map[verify.StreamKey]*stream{}
	for _, r := range rows {
		if !s.selects(verify.StreamKey(r.Key)) {
			continue
		}
		st := newStream(s, r)
		if err := st.read(in); err != nil {
			return faulty(in.name, "stream %x: %w", st.key, err)
		}
		p.streams[st.key] = st
		p.order = append(p.order, st)
		if st.asked {
			p.head.Selected = append(p.head.Selected, report.Stream{Key: st.key, Count: st.row.Count})
		}
	}
	if err := in.done(); err != nil {
		return err
	}
	if s.exact == nil {
		p.head.Unknown = unknown(p.question, versions, rows)
	}
	if s.exact == nil && !s.sources.any {
		p.head.Sources = s.sources.list
	}
	if s.exact == nil && !s.targets.any {
		p.head.Targets = s.targets.list
	}
	return p.writeMaps(versions)
}

// writeMaps makes the members maps/*.yaml.
func (p *pass) writeMaps(versions []*domains.Version) error {
	p.summary.Maps = versions
	for _, v := range versions {
		w, err := p.sink.Create(mapName(v.Index))
		if err != nil {
			return err
		}
		if _, err := w.Write(v.Document().Yaml); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}

// entries reads all known entries in the order of the log.
func (p *pass) entries() error {
	hashes, numbers := p.z.open(nameTree), p.z.open(nameNumbers)
	p.tree = &fold{hashes: hashes}
	if p.numbers == nil {
		p.numbers = readNumbers(numbers)
	}
	p.runs = newRunBook(p.answer.Runs, p.numbers)
	var err error
	if p.out, err = report.NewWriter(p.head, p.sink); err != nil {
		return err
	}
	in := newEntryReader(p.z)
	for n := 0; ; n++ {
		if n%1024 == 0 && p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		e, err := in.next()
		if err != nil {
			return err
		}
		if e == nil {
			break
		}
		if err := p.take(e); err != nil {
			return inEntry(e, err)
		}
	}
	if err := in.others.allRead(); err != nil {
		return err
	}
	return p.finish(hashes, numbers)
}

// inEntry makes a fault of an entry of an error, unless it is one.
func inEntry(e *knownEntry, err error) error {
	var f *Fault
	var derived *derivedError
	if errors.As(err, &f) || errors.As(err, &derived) {
		return err
	}
	return faultAt(e.member, e.Place.Index, err)
}
