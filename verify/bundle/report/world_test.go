package report

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// memory is a sink that keeps what it is given.
type memory struct {
	names []string
	files map[string]*bytes.Buffer
	open  int
}

func newMemory() *memory { return &memory{files: map[string]*bytes.Buffer{}} }

type memoryFile struct {
	*bytes.Buffer
	sink   *memory
	closed bool
}

func (f *memoryFile) Close() error {
	if f.closed {
		return fmt.Errorf("closed twice")
	}
	f.closed = true
	f.sink.open--
	return nil
}

func (m *memory) Create(name string) (io.WriteCloser, error) {
	if m.files[name] != nil {
		return nil, fmt.Errorf("%s is created twice", name)
	}
	m.names = append(m.names, name)
	m.files[name] = &bytes.Buffer{}
	m.open++
	return &memoryFile{Buffer: m.files[name], sink: m}, nil
}

// world is a report's input as testdata has it; testdata/README.md says what each
// field is.
type world struct {
	Head struct {
		Origin     string             `json:"origin"`
		Question   *question.Question `json:"question"`
		Part       int                `json:"part"`
		Parts      int                `json:"parts"`
		First      uint64             `json:"first"`
		End        uint64             `json:"end"`
		Policy     string             `json:"policy"`
		Size       uint64             `json:"size"`
		Root       string             `json:"root"`
		Witnesses  []witness          `json:"witnesses"`
		CloseIndex uint64             `json:"close_index"`
		Close      string             `json:"close"`
		Cut        uint64             `json:"cut"`
		OpenedNS   int64              `json:"opened_ns"`
		Selected   int                `json:"selected"`
		Sources    []string           `json:"sources"`
		Targets    []string           `json:"targets"`
		Unknown    []string           `json:"unknown,omitempty"`
	} `json:"head"`
	Answers []answer `json:"answers"`
	Repeat  int      `json:"repeat"`
	Alerts  []string `json:"alerts"`
	Closes  []string `json:"closes"`
	Summary struct {
		Claims      []Claim    `json:"claims"`
		Runs        []run      `json:"runs"`
		OneOffs     uint64     `json:"one_offs"`
		Losses      []Loss     `json:"losses,omitempty"`
		Approvals   []approval `json:"approvals"`
		Maps        []mapInput `json:"maps"`
		Checkpoints int        `json:"checkpoints"`
	} `json:"summary"`
}

type witness struct {
	Name string `json:"name"`
	Unix int64  `json:"unix"`
}

type answer struct {
	Entry    string    `json:"entry"`
	Section  string    `json:"section"`
	Flow     string    `json:"flow"`
	Approval *approval `json:"approval"`
}

type approval struct {
	Index      uint64 `json:"index"`
	LogTimeNS  int64  `json:"log_time_ns"`
	Body       string `json:"body"`
	Revocation uint64 `json:"revocation"`
	RevokedNS  int64  `json:"revoked_ns"`
	Revoked    string `json:"revoked"`
}

type run struct {
	Producer string `json:"producer"`
	Run      string `json:"run"`
	Opened   string `json:"opened"`
	Answers  uint64 `json:"answers"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Signed   uint64 `json:"signed"`
	Gaps     uint64 `json:"gaps"`
	Lost     uint64 `json:"lost"`
	Declined uint64 `json:"declined"`
	Ended    bool   `json:"ended"`
	Proved   bool   `json:"proved"`
	Reason   string `json:"reason"`
}

type mapInput struct {
	Index     uint64 `json:"index"`
	LogTimeNS int64  `json:"log_time_ns"`
	Body      string `json:"body"`
	Document  string `json:"document"`
}

// write runs the writer over a world.
func (in *world) write(t testing.TB, sink Sink, tune func(*Writer)) {
	t.Helper()
	head := in.head(t)
	w, err := NewWriter(head, sink)
	if err != nil {
		t.Fatal(err)
	}
	if tune != nil {
		tune(w)
	}
	for range max(in.Repeat, 1) {
		for i := range in.Answers {
			if err := w.Answer(in.Answers[i].parse(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, text := range in.Alerts {
		e := parseEntry(t, text)
		if err := w.Alert(&Alert{Entry: e, Alert: parse(t, hex.EncodeToString(e.Body), new(daybookv1.Alert))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range in.Closes {
		e := parseEntry(t, text)
		c := &Close{Entry: e, Close: parse(t, hex.EncodeToString(e.Body), new(daybookv1.Close)), Leaf: verify.HashLeaf(unhex(t, text))}
		if err := w.LogClose(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(in.summary(t, head)); err != nil {
		t.Fatal(err)
	}
}

func (in *world) head(t testing.TB) *Head {
	h := &in.Head
	out := &Head{Origin: h.Origin, Question: h.Question, Part: h.Part, Parts: h.Parts, First: h.First, End: h.End, Policy: []byte(h.Policy),
		CloseIndex: h.CloseIndex, Cut: h.Cut, OpenedNS: h.OpenedNS, Sources: h.Sources, Targets: h.Targets}
	out.Checkpoint.Checkpoint = verify.Checkpoint{Origin: h.Origin, Size: h.Size, Root: verify.Hash(unhex(t, h.Root))}
	for _, w := range h.Witnesses {
		out.Checkpoint.Witnesses = append(out.Checkpoint.Witnesses, verify.Cosigned{Name: w.Name, Unix: w.Unix})
	}
	if h.Close != "" {
		out.Close = parse(t, h.Close, new(daybookv1.Close))
	}
	for _, text := range h.Unknown {
		out.Unknown = append(out.Unknown, Unknown{Text: text})
	}
	out.Selected = make([]Stream, h.Selected)
	return out
}

func (in *world) summary(t testing.TB, head *Head) *Summary {
	s := &in.Summary
	out := &Summary{Head: head, Claims: s.Claims, OneOffs: s.OneOffs, Losses: s.Losses, Checkpoints: make([]Checkpoint, s.Checkpoints)}
	for _, r := range s.Runs {
		u := Run{Producer: r.Producer, Run: verify.Hash(unhex(t, r.Run)), Answers: r.Answers, First: r.First, Last: r.Last, Signed: r.Signed,
			Gaps: r.Gaps, Lost: r.Lost, Declined: r.Declined, Ended: r.Ended, Proved: r.Proved, Reason: r.Reason}
		if r.Opened != "" {
			u.Opened = parse(t, r.Opened, new(daybookv1.RunOpened))
		}
		out.Runs = append(out.Runs, u)
	}
	for i := range s.Approvals {
		out.Approvals = append(out.Approvals, *s.Approvals[i].parse(t))
	}
	for _, m := range s.Maps {
		doc, err := domains.ParseDocument(unhex(t, m.Document))
		if err != nil {
			t.Fatal(err)
		}
		out.Maps = append(out.Maps, &domains.Version{Map: doc, Index: m.Index, LogTimeNS: m.LogTimeNS, Body: parse(t, m.Body, new(daybookv1.DomainMap))})
	}
	return out
}

func (a *answer) parse(t testing.TB) *Answer {
	e := parseEntry(t, a.Entry)
	out := &Answer{Entry: e, Event: parse(t, hex.EncodeToString(e.Body), new(daybookv1.Event)), Leaf: verify.HashLeaf(unhex(t, a.Entry))}
	for s := SectionFirstHand; s <= SectionUnmapped; s++ {
		if s.String() == a.Section {
			out.Section = s
		}
	}
	if a.Flow != "" {
		out.Grounds.Flow = parse(t, a.Flow, new(daybookv1.Flow))
	}
	if a.Approval != nil {
		out.Grounds.Approval = a.Approval.parse(t)
	}
	return out
}

func (a *approval) parse(t testing.TB) *domains.Approved {
	out := &domains.Approved{Index: a.Index, LogTimeNS: a.LogTimeNS, Body: parse(t, a.Body, new(daybookv1.Approval)), Revocation: a.Revocation, RevokedNS: a.RevokedNS}
	if a.Revoked != "" {
		out.Revoked = parse(t, a.Revoked, new(daybookv1.Revocation))
	}
	return out
}

func parse[M proto.Message](t testing.TB, text string, m M) M {
	t.Helper()
	if err := proto.Unmarshal(unhex(t, text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func parseEntry(t testing.TB, text string) *verify.Entry {
	t.Helper()
	e, err := verify.ParseEntry(unhex(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hexOf(m proto.Message) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return hex.EncodeToString(b)
}

// nth returns a hash that stands for the n-th of something.
func nth(n byte) verify.Hash { return verify.Hash(bytes.Repeat([]byte{n}, 32)) }
