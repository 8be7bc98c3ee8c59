package verify_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
)

// follows tells to what the policies of some keys lead at the end of a log, whose
// newest checkpoint some keys signed.
func (l *turningLog) follows(t *testing.T, chain *verify.KeyChain, trusted []int, notes [][]byte, signed ...int) error {
	t.Helper()
	text := ""
	for _, k := range trusted {
		text += "log " + l.keys[k].vkey(t) + "\n"
	}
	p, err := verify.ParsePolicy([]byte(text + "quorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	size := len(l.entries)
	followed, bridge, err := p.Follow(chain, uint64(size), notes)
	if err != nil {
		return err
	}
	if bridge == 0 || bridge > uint64(size) {
		t.Errorf("bridge %d", bridge)
	}
	_, err = followed.Open(l.signed(t, size, signed...))
	return err
}

// next moves a chain over an entry.
func (l *turningLog) next(t *testing.T, c *verify.KeyChain, index int) *verify.KeyChain {
	t.Helper()
	e, err := verify.ParseEntry(l.entries[index])
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.Next(uint64(index), e.Body); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPolicyFollow goes from each key of a log to its newest, and nowhere else.
func TestPolicyFollow(t *testing.T) {
	l := newTurningLog(t)
	before := l.signed(t, len(l.entries), 0, 1)
	first := l.turn(t, l.rotated(t, 0, 1))
	overlap := l.signed(t, len(l.entries), 0, 1)
	byNew := l.signed(t, len(l.entries), 1)
	byStranger := l.signed(t, len(l.entries), 3)
	retired := l.retired(t, 0, 1, uint64(first))
	end := l.turn(t, retired)
	tooLate := l.signed(t, len(l.entries), 0)
	second := l.turn(t, l.rotated(t, 1, 2))
	both := l.signed(t, len(l.entries), 1, 2)
	c := l.next(t, l.next(t, l.next(t, l.chain(t, 0), first), end), second)
	if b := c.Bridges(); len(b) != 1 || b[0].Size != uint64(end) || b[0].Index != uint64(end) || string(b[0].Note) != string(retired.Note) {
		t.Errorf("bridges %+v", b)
	}
	for i, row := range []struct {
		trusted []int
		notes   [][]byte
		signed  []int
		want    error
	}{
		{[]int{0}, [][]byte{overlap}, []int{1, 2}, nil},
		{[]int{0}, [][]byte{overlap, both}, []int{2}, nil},
		{[]int{0}, [][]byte{both, overlap}, []int{2}, nil}, // in whatever order
		{[]int{1}, [][]byte{both}, []int{2}, nil},
		{[]int{3, 1}, [][]byte{both}, []int{2}, nil},
		{[]int{0}, [][]byte{overlap}, []int{2}, verify.ErrUnsigned}, // half of the way
		{[]int{0}, nil, []int{1, 2}, verify.ErrUnsigned},
		{[]int{0}, [][]byte{both}, []int{1, 2}, verify.ErrUnsigned},
		{[]int{0}, [][]byte{before}, []int{1, 2}, verify.ErrUnsigned},     // it does not cover the rotation
		{[]int{0}, [][]byte{byNew}, []int{1, 2}, verify.ErrUnsigned},      // the new key's own word
		{[]int{0}, [][]byte{byStranger}, []int{1, 2}, verify.ErrUnsigned}, // another one's
		{[]int{0}, [][]byte{tooLate}, []int{1, 2}, verify.ErrUnsigned},    // the key had ended
		{[]int{0}, [][]byte{overlap, both}, []int{0}, verify.ErrUnsigned}, // so has the one that is trusted
		{[]int{3}, [][]byte{overlap, both}, []int{1, 2}, verify.ErrUnsigned},
		{[]int{2}, [][]byte{overlap, both}, []int{1}, verify.ErrUnsigned}, // never back
		{[]int{2}, [][]byte{overlap, both}, []int{0, 1}, verify.ErrUnsigned},
	} {
		if err := l.follows(t, c, row.trusted, row.notes, row.signed...); !errors.Is(err, row.want) {
			t.Errorf("row %d: %v", i, err)
		}
	}
	err := l.follows(t, c, []int{0}, nil)
	if now := c.Current(); !strings.Contains(err.Error(), "log "+now.VKey) || !strings.Contains(err.Error(), fmt.Sprintf("entry %d", first)) ||
		!strings.Contains(err.Error(), strings.Join(verify.FingerprintWords(now.Fingerprint), " ")) {
		t.Errorf("it does not say what to do: %v", err)
	}
}

// TestPolicyFollowCompromised: a key in other hands leads nowhere, whatever it signed.
func TestPolicyFollowCompromised(t *testing.T) {
	for _, retire := range []bool{false, true} {
		l := newTurningLog(t)
		m := l.rotated(t, 0, 1)
		m.Compromised = !retire
		at := l.turn(t, m)
		c := l.next(t, l.chain(t, 0), at)
		note := l.signed(t, len(l.entries), 0, 1)
		if retire {
			m = l.retired(t, 0, 1, uint64(at))
			m.Compromised = true
			c = l.next(t, c, l.turn(t, m))
		}
		if err := l.follows(t, c, []int{0}, [][]byte{note, m.Note}, 1); !errors.Is(err, verify.ErrUnsigned) || !strings.Contains(err.Error(), "other hands") {
			t.Errorf("retirement %v: %v", retire, err)
		}
	}
}

// TestPolicyFollowQuorum: what leads needs no witness, what is opened does.
func TestPolicyFollowQuorum(t *testing.T) {
	l := newTurningLog(t)
	at := l.turn(t, l.rotated(t, 0, 1))
	note := l.signed(t, len(l.entries), 0, 1)
	c := l.next(t, l.next(t, l.chain(t, 0), at), l.turn(t, l.retired(t, 0, 1, uint64(at))))
	w := newSigner("witness.example/a", 4)
	p, err := verify.ParsePolicy([]byte("log " + l.keys[0].vkey(t) + "\nwitness w " + w.vkey(t) + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	followed, _, err := p.Follow(c, uint64(len(l.entries)), [][]byte{note})
	if err != nil {
		t.Fatal(err)
	}
	newest := l.signed(t, len(l.entries), 1)
	if _, err := followed.Open(newest); !errors.Is(err, verify.ErrQuorum) {
		t.Errorf("without the witness: %v", err)
	}
	o, err := followed.Open(append(newest, w.line(t, l.text(len(l.entries)), 1)...))
	if err != nil || len(o.Witnesses) != 1 || o.Witnesses[0].Witness != "w" {
		t.Errorf("%+v, %v", o, err)
	}
}
