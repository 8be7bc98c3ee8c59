package verify_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A turning log is a sample log whose key is replaced; keys[0] is its first.
type turningLog struct {
	*sampleLog
	keys  []*signer
	run   verify.Hash
	count uint64 // of its KEY_ROTATION entries
	prev  uint64
}

func newTurningLog(t testing.TB) *turningLog {
	l := &turningLog{sampleLog: newSampleLog(t, 2), run: sha256.Sum256([]byte("opening 1"))}
	for i := range 4 {
		k := newSigner(l.origin.name, 1)
		if i > 0 {
			k.seed = sha256.Sum256(fmt.Append(nil, "key ", i))
		}
		l.keys = append(l.keys, k)
	}
	return l
}

// noteLine signs any text as line does a checkpoint's.
func (s *signer) note(t testing.TB, text string) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, noteSigner{s, t})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// signed is the checkpoint of a size under some of the keys.
func (l *turningLog) signed(t testing.TB, size int, keys ...int) []byte {
	text := l.text(size)
	out := text + "\n"
	for _, k := range keys {
		out += l.keys[k].line(t, text, 0)
	}
	return []byte(out)
}

func (l *turningLog) rotated(t testing.TB, from, to int) *daybookv1.KeyRotation {
	old, next := l.keys[from].vkey(t), l.keys[to].vkey(t)
	return &daybookv1.KeyRotation{Step: daybookv1.KeyStep_KEY_STEP_ROTATED, OldVkey: old, NewVkey: next, Requester: "ops", Approvals: []uint64{1},
		Note: l.keys[to].note(t, verify.RotationText(old, next))}
}

func (l *turningLog) retired(t testing.TB, from, to int, rotation uint64) *daybookv1.KeyRotation {
	return &daybookv1.KeyRotation{Step: daybookv1.KeyStep_KEY_STEP_RETIRED, OldVkey: l.keys[from].vkey(t), NewVkey: l.keys[to].vkey(t), Requester: "ops",
		Rotation: rotation + 1, Note: l.signed(t, len(l.entries), from, to)}
}

// turn appends a step and returns its index and its entry.
func (l *turningLog) turn(t testing.TB, m *daybookv1.KeyRotation) int {
	t.Helper()
	head := verify.BatchHead{FormatVersion: 1, LogTimeNS: 1_783_000_000_200_000_000, Producer: l.origin.name,
		KeyFingerprint: sha256.Sum256([]byte(l.origin.vkey(t))), Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, Run: l.run, Epoch: 1, RulesVersion: 1}
	l.add(t, head, verify.EntryHead{Kind: daybookv1.Kind_KIND_KEY_ROTATION, Number: l.count + 1, Position: l.count, PreviousInStream: l.prev}, marshal(t, m))
	l.count, l.prev = l.count+1, uint64(len(l.entries))
	return len(l.entries) - 1
}

// receiptUnder is the receipt of an entry at a size under some of the keys.
func (l *turningLog) receiptUnder(t testing.TB, index, size int, keys ...int) []byte {
	p, err := verify.ProveRange(uint64(index), uint64(index)+1, uint64(size), l.leaves[:size].nodes)
	if err != nil {
		t.Fatal(err)
	}
	return verify.FormatReceipt(verify.Receipt{Index: uint64(index), Proof: p, Checkpoint: l.signed(t, size, keys...)})
}

func (l *turningLog) chain(t testing.TB, key int) *verify.KeyChain {
	c, err := verify.NewKeyChain(l.keys[key].vkey(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFollowTwoRotations walks from the first key to the third by receipts, as one
// does who has slept through both overlaps, and asks what each key may sign.
func TestFollowTwoRotations(t *testing.T) {
	l := newTurningLog(t)
	first := l.turn(t, l.rotated(t, 0, 1))
	end := l.turn(t, l.retired(t, 0, 1, uint64(first)))
	second := l.turn(t, l.rotated(t, 1, 2))
	size := len(l.entries)
	c := l.chain(t, 0)
	if _, err := c.OpenCheckpoint(l.signed(t, size, 1, 2)); !errors.Is(err, verify.ErrUnsigned) {
		t.Errorf("a checkpoint under unknown keys: %v", err)
	}
	for _, step := range []struct{ index, size, key int }{{first, end, 0}, {end, size, 1}, {second, size, 1}} {
		var err error
		if c, err = c.Follow(l.receiptUnder(t, step.index, step.size, step.key), l.entries[step.index]); err != nil {
			t.Fatalf("entry %d: %v", step.index, err)
		}
	}
	if k := c.Keys(); len(k) != 3 || k[0].Until() != uint64(end) || k[1].Since != uint64(first) || k[2].Until() != verify.MaxSize || c.Current().VKey != l.keys[2].vkey(t) {
		t.Errorf("keys %+v", k)
	}
	for _, row := range []struct {
		size int
		key  int
		want error
	}{
		{end, 0, nil}, {end + 1, 0, verify.ErrKeyEnded}, {3, 0, nil}, {end + 1, 1, nil}, {size, 1, nil}, {size, 2, nil}, {2, 2, nil}, {size, 3, verify.ErrUnsigned},
	} {
		if _, err := c.OpenCheckpoint(l.signed(t, row.size, row.key)); !errors.Is(err, row.want) {
			t.Errorf("size %d under key %d: %v, want %v", row.size, row.key, err, row.want)
		}
	}
	if _, err := c.OpenCheckpoint(l.signed(t, size, 0, 2)); err != nil {
		t.Errorf("an ended key beside a good one: %v", err)
	}
	// What a receipt's policy said then, it says for ever.
	p := l.policy(t)
	if _, err := verify.CheckReceipt(p, l.receiptUnder(t, 2, end, 0, 1), l.entries[2]); err != nil {
		t.Errorf("an old receipt under the old policy: %v", err)
	}
	both, err := verify.ParsePolicy([]byte(c.Policy()))
	if err != nil {
		t.Fatalf("the policy of an overlap: %v\n%s", err, c.Policy())
	}
	for _, key := range []int{1, 2} {
		if _, err := both.OpenCheckpoint(l.signed(t, size, key)); err != nil {
			t.Errorf("key %d under the policy of the overlap: %v", key, err)
		}
	}
	if !strings.HasPrefix(c.Policy(), fmt.Sprintf("# The present key, since entry %d.\nlog %s\n", second, l.keys[2].vkey(t))) {
		t.Errorf("policy:\n%s", c.Policy())
	}
}

func TestCompromisedKeyIsNotBelieved(t *testing.T) {
	l := newTurningLog(t)
	m := l.rotated(t, 0, 1)
	m.Compromised = true
	at := l.turn(t, m)
	size := len(l.entries)
	if _, err := l.chain(t, 0).Follow(l.receiptUnder(t, at, size, 0), l.entries[at]); !errors.Is(err, verify.ErrKeyCompromised) {
		t.Errorf("the compromised key named its successor: %v", err)
	}
	c, err := l.chain(t, 0).Next(uint64(at), marshal(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Overlap(); ok || len(c.Signing()) != 1 {
		t.Error("a compromised key signs on")
	}
	got, err := c.OpenCheckpoint(l.signed(t, at, 0))
	if !errors.Is(err, verify.ErrKeyCompromised) || got.Size != uint64(at) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.OpenCheckpoint(l.signed(t, size, 0)); !errors.Is(err, verify.ErrKeyEnded) {
		t.Error(err)
	}
	if _, err := c.OpenCheckpoint(l.signed(t, size, 0, 1)); err != nil {
		t.Error(err)
	}
	// In an overlap both keys may be in other hands.
	o, err := l.chain(t, 0).Next(4, marshal(t, l.rotated(t, 0, 1)))
	if err != nil {
		t.Fatal(err)
	}
	m = l.rotated(t, 1, 2)
	if _, err := o.Next(5, marshal(t, m)); err == nil {
		t.Error("a third key in an overlap")
	}
	m.Compromised = true
	o, err = o.Next(5, marshal(t, m))
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range o.Keys()[:2] {
		if !k.Compromised || k.Until() != 5 {
			t.Errorf("key %d: %+v", i, k)
		}
	}
}

// TestBadTurns refuses every step that does not follow.
func TestBadTurns(t *testing.T) {
	l := newTurningLog(t)
	stranger := newSigner("other.example/log", 1)
	overlap := l.turn(t, l.rotated(t, 0, 1))
	during, err := l.chain(t, 0).Next(uint64(overlap), marshal(t, l.rotated(t, 0, 1)))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		chain *verify.KeyChain
		m     *daybookv1.KeyRotation
		with  func(*daybookv1.KeyRotation)
	}{
		"from another key":       {l.chain(t, 1), l.rotated(t, 0, 2), nil},
		"to the same key":        {l.chain(t, 0), l.rotated(t, 0, 0), nil},
		"back to the old key":    {during, l.rotated(t, 1, 0), func(m *daybookv1.KeyRotation) { m.Compromised = true }},
		"no approval":            {l.chain(t, 0), l.rotated(t, 0, 1), func(m *daybookv1.KeyRotation) { m.Approvals = nil }},
		"no note":                {l.chain(t, 0), l.rotated(t, 0, 1), func(m *daybookv1.KeyRotation) { m.Note = nil }},
		"note of the old key":    {l.chain(t, 0), l.rotated(t, 0, 1), func(m *daybookv1.KeyRotation) { m.Note = l.keys[0].note(t, verify.RotationText(m.OldVkey, m.NewVkey)) }},
		"note of another pair":   {l.chain(t, 0), l.rotated(t, 0, 1), func(m *daybookv1.KeyRotation) { m.Note = l.keys[1].note(t, verify.RotationText(m.NewVkey, m.OldVkey)) }},
		"note with a line more":  {l.chain(t, 0), l.rotated(t, 0, 1), func(m *daybookv1.KeyRotation) { m.Note = append(m.Note, l.keys[0].line(t, l.text(2), 0)...) }},
		"checkpoint as its note": {l.chain(t, 0), l.rotated(t, 0, 1), func(m *daybookv1.KeyRotation) { m.Note = l.signed(t, 2, 1) }},
		"key of another log": {l.chain(t, 0), l.rotated(t, 0, 1), func(m *daybookv1.KeyRotation) {
			m.NewVkey = stranger.vkey(t)
			m.Note = stranger.note(t, verify.RotationText(m.OldVkey, m.NewVkey))
		}},
		"retired without overlap":  {l.chain(t, 0), l.retired(t, 0, 1, uint64(overlap)), nil},
		"retired of another turn":  {during, l.retired(t, 0, 1, 1), nil},
		"retired the new one":      {during, l.retired(t, 1, 0, uint64(overlap)), nil},
		"retired with approval":    {during, l.retired(t, 0, 1, uint64(overlap)), func(m *daybookv1.KeyRotation) { m.Approvals = []uint64{1} }},
		"bridge under one key":     {during, l.retired(t, 0, 1, uint64(overlap)), func(m *daybookv1.KeyRotation) { m.Note = l.signed(t, len(l.entries), 1) }},
		"bridge before the turn":   {during, l.retired(t, 0, 1, uint64(overlap)), func(m *daybookv1.KeyRotation) { m.Note = l.signed(t, overlap, 0, 1) }},
		"a step of a later format": {l.chain(t, 0), l.rotated(t, 0, 1), func(m *daybookv1.KeyRotation) { m.Step = 3 }},
	} {
		if bad.with != nil {
			bad.with(bad.m)
		}
		if _, err := bad.chain.Next(uint64(len(l.entries)), marshal(t, bad.m)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := during.Next(uint64(len(l.entries)), marshal(t, l.retired(t, 0, 1, uint64(overlap)))); err != nil {
		t.Error(err)
	}
	if _, err := l.chain(t, 0).Follow(l.receiptUnder(t, 2, 3, 0), l.entries[2]); err == nil {
		t.Error("an access was followed")
	}
	if _, err := l.chain(t, 0).Follow(l.receiptUnder(t, overlap, len(l.entries), 1), l.entries[overlap]); !errors.Is(err, verify.ErrUnsigned) {
		t.Errorf("a turn under the new key's own word: %v", err)
	}
	if _, err := verify.NewKeyChain(newSigner("w.example", 4).vkey(t)); err == nil {
		t.Error("a witness's key signs a log")
	}
}

// FuzzKeyChain: whatever the bodies are, the chain keeps its first key and origin,
// at most two keys sign, and ended keys stay ended.
func FuzzKeyChain(f *testing.F) {
	l := newTurningLog(f)
	start := l.chain(f, 0)
	turn := l.rotated(f, 0, 1)
	at := l.turn(f, turn)
	f.Add(marshal(f, turn), marshal(f, l.retired(f, 0, 1, uint64(at))))
	turn.Compromised = true
	f.Add(marshal(f, turn), marshal(f, l.rotated(f, 1, 2)))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		c := start
		for i, body := range [][]byte{one, two} {
			if verify.CheckBody(daybookv1.Kind_KIND_KEY_ROTATION, body) != nil {
				return
			}
			next, err := c.Next(uint64(at+i), body)
			if err != nil {
				continue
			}
			for j, k := range c.Keys() {
				if n := next.Keys()[j]; n.VKey != k.VKey || k.Ended != 0 && n.Ended != k.Ended {
					t.Fatalf("key %d was %+v, is %+v", j, k, n)
				}
			}
			if c = next; len(c.Signing()) > 2 || c.Signing()[0].Ended != 0 || c.Origin() != start.Origin() {
				t.Fatalf("%+v sign", c.Signing())
			}
		}
	})
}

// noteSigner is a signer for any text.
type noteSigner struct {
	s *signer
	t testing.TB
}

func (n noteSigner) Name() string { return n.s.name }
func (n noteSigner) KeyHash() uint32 {
	id := n.s.id(n.t)
	return uint32(id[0])<<24 | uint32(id[1])<<16 | uint32(id[2])<<8 | uint32(id[3])
}
func (n noteSigner) Sign(text []byte) ([]byte, error) { return n.s.sign(text), nil }
