package client_test

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// ListKeys implements QueryService.
func (l *liar) ListKeys(context.Context, *apiv1.ListKeysRequest) (*apiv1.ListKeysResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys == nil {
		return nil, status.Error(codes.Unimplemented, "no keys")
	}
	return l.keys, nil
}

// open makes a client that the test closes itself.
func (l *liar) open(t testing.TB, change func(*client.Config)) *client.Client {
	t.Helper()
	config := l.config()
	if change != nil {
		change(&config)
	}
	c, err := client.Dial(config)
	must(t, err)
	return c
}

// A turner turns the key of a liar's log.
type turner struct {
	l          *liar
	old, next  note.Signer
	oldV, newV string
	rotation   uint64
	numbers    uint64
}

func newTurner(t testing.TB, l *liar) *turner {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, l.log.origin)
	must(t, err)
	signer, err := note.NewSigner(skey)
	must(t, err)
	return &turner{l: l, old: l.log.signer, next: signer, oldV: l.log.vkey, newV: vkey}
}

func (k *turner) add(t testing.TB, m *daybookv1.KeyRotation) uint64 {
	t.Helper()
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	m.OldVkey, m.NewVkey, m.Requester = k.oldV, k.newV, "ops"
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	must(t, err)
	must(t, verify.CheckBody(daybookv1.Kind_KIND_KEY_ROTATION, body))
	log := k.l.log
	k.numbers++
	log.add(log.head(verify.BatchHead{Producer: log.origin, Run: verify.Hash{1}, Epoch: 1, Provenance: 1}), daybookv1.Kind_KIND_KEY_ROTATION, k.numbers, body)
	return uint64(len(log.entries)) - 1
}

func (k *turner) rotate(t testing.TB, compromised bool) {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: verify.RotationText(k.oldV, k.newV)}, k.next)
	must(t, err)
	k.rotation = k.add(t, &daybookv1.KeyRotation{Step: daybookv1.KeyStep_KEY_STEP_ROTATED, Note: signed, Approvals: []uint64{1}, Compromised: compromised})
	k.sign(compromised)
	k.answer(len(k.l.log.entries), nil, compromised)
}

// sign has the log sign with the new key, and with the old one unless alone.
func (k *turner) sign(alone bool) {
	k.l.set(func(l *liar) {
		l.log.signer, l.log.beside = k.next, k.old
		if alone {
			l.log.beside = nil
		}
	})
}

func (k *turner) retire(t testing.TB) {
	t.Helper()
	bridge := len(k.l.log.entries)
	at := k.add(t, &daybookv1.KeyRotation{Step: daybookv1.KeyStep_KEY_STEP_RETIRED, Note: k.l.log.checkpoint(bridge), Rotation: k.rotation + 1})
	before := k.file(k.rotation, bridge)
	k.sign(true)
	k.answer(bridge, k.file(at, len(k.l.log.entries)), false)
	k.l.set(func(l *liar) { l.keys.Keys[1].Rotation = before })
}

// file is the receipt of an entry at a size.
func (k *turner) file(index uint64, size int) *apiv1.ReceiptFile {
	log := k.l.log
	return &apiv1.ReceiptFile{Index: index, Entry: log.entries[index], Proof: verify.FormatReceipt(verify.Receipt{
		Index: index, Proof: log.proof(index, index+1, uint64(size)), Checkpoint: log.checkpoint(size)})}
}

func (k *turner) answer(size int, retirement *apiv1.ReceiptFile, compromised bool) {
	keys := &apiv1.ListKeysResponse{Keys: []*apiv1.LogKey{{Vkey: k.oldV, Retirement: retirement, Compromised: compromised}, {Vkey: k.newV, Since: k.rotation, Rotation: k.file(k.rotation, size)}}}
	k.l.set(func(l *liar) { l.keys = keys })
}

// TestFollowsRotation: awake through the overlap, the client pins the new key, and
// keeps it beyond the retirement and its own restart, whatever the server says then.
func TestFollowsRotation(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 2)
	k := newTurner(t, l)
	c := l.open(t, nil)
	k.rotate(t, false)
	_, err := c.Checkpoint(t.Context(), 0)
	must(t, err)
	must(t, c.Prove(t.Context()))
	if got := c.Keys().Current().VKey; got != k.newV {
		t.Errorf("in the overlap the client knows %s, want %s", got, k.newV)
	}
	k.retire(t)
	_, err = c.Checkpoint(t.Context(), 0)
	must(t, err)
	must(t, c.Close())
	l.set(func(l *liar) { l.keys = nil })
	c = l.open(t, nil)
	_, err = c.Checkpoint(t.Context(), 0)
	must(t, err)
	must(t, c.Close())
	chain, err := (&client.Profile{VKey: l.log.vkey, State: filepath.Join(l.dir, "state")}).KnownKeys()
	if err != nil || chain.Current().VKey != k.newV {
		t.Errorf("the state keeps %v, %v", chain, err)
	}
}

// TestSleeperFollows: who knows the old key alone follows by what the retirement
// keeps; receipts too are checked under the key that was found.
func TestSleeperFollows(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 2)
	k := newTurner(t, l)
	k.rotate(t, false)
	k.retire(t)
	c := l.open(t, func(c *client.Config) { c.State = filepath.Join(l.dir, "another") })
	defer c.Close()
	files, err := c.Receipts(t.Context(), 1, 2)
	if err != nil || len(files) != 2 {
		t.Fatalf("%d receipts, %v", len(files), err)
	}
	if got := c.Keys().Keys(); len(got) != 2 || got[0].Until() != uint64(len(l.log.entries))-1 {
		t.Errorf("keys %+v", got)
	}
	// Who was given the new key needs nothing.
	l.set(func(l *liar) { l.keys = nil })
	given := l.open(t, func(c *client.Config) { c.VKey, c.State = k.newV, "" })
	defer given.Close()
	_, err = given.Checkpoint(t.Context(), 0)
	must(t, err)
}

// TestCompromisedKeyIsNotFollowed: then the new key comes from its card. What was
// remembered under the old one is still held against the log.
func TestCompromisedKeyIsNotFollowed(t *testing.T) {
	l := newLiar(t)
	l.grow(t, 2)
	forked := l.log.fork()
	k := newTurner(t, l)
	k.rotate(t, true)
	c := l.open(t, nil)
	if _, err := c.Checkpoint(t.Context(), 0); !errors.Is(err, client.ErrNewKey) {
		t.Fatalf("error %v, want ErrNewKey", err)
	}
	must(t, c.Close())
	repinned := func(c *client.Config) { c.VKey = k.newV }
	c = l.open(t, repinned)
	_, err := c.Checkpoint(t.Context(), 0)
	must(t, err)
	must(t, c.Prove(t.Context()))
	must(t, c.Close())
	// Another story under the new key is a fork, told by what the old one signed.
	forked.cut(1)
	for range 9 {
		forked.add(forked.head(verify.BatchHead{Producer: l.log.origin, Run: verify.Hash{1}, Epoch: 1, Provenance: 1}), daybookv1.Kind_KIND_ACTIVITY, 9, []byte("x"))
	}
	forked.signer = k.next
	l.set(func(l *liar) { l.log = forked })
	c = l.open(t, repinned)
	_, err = c.Checkpoint(t.Context(), 0)
	if fork := new(client.ForkError); !errors.As(err, &fork) {
		t.Errorf("error %v, want a *ForkError", err)
	}
	must(t, c.Close())
}

// TestKeyOnItsOwnWord: a thief of nothing names a key of his own, and proves it by
// himself. It is not pinned, now or later.
func TestKeyOnItsOwnWord(t *testing.T) {
	for name, bend := range map[string]func(t *testing.T, k *turner){
		"under the new key": func(t *testing.T, k *turner) { k.sign(true); k.answer(len(k.l.log.entries), nil, false) },
		"of another entry": func(_ *testing.T, k *turner) {
			k.sign(true)
			k.l.keys.Keys[1].Rotation = k.file(0, len(k.l.log.entries))
		},
		"another entry's bytes": func(_ *testing.T, k *turner) {
			k.sign(true)
			k.l.keys.Keys[1].Rotation.Entry = append([]byte(nil), k.l.log.entries[1]...)
		},
		"no proof": func(_ *testing.T, k *turner) { k.sign(true); k.l.keys.Keys[1].Rotation.Proof = nil },
		"nothing":  func(_ *testing.T, k *turner) { k.sign(true); k.l.keys = &apiv1.ListKeysResponse{} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			l.grow(t, 2)
			k := newTurner(t, l)
			k.rotate(t, false)
			bend(t, k)
			c := l.open(t, nil)
			_, err := c.Checkpoint(t.Context(), 0)
			if err == nil || !strings.Contains(err.Error(), "no signature by a log") {
				t.Errorf("error %v", err)
			}
			if got := c.Keys().Current().VKey; got != k.oldV {
				t.Errorf("pinned %s", got)
			}
			must(t, c.Close())
			if chain, err := (&client.Profile{VKey: k.oldV, State: filepath.Join(l.dir, "state")}).KnownKeys(); err != nil || chain.Current().VKey != k.oldV {
				t.Errorf("kept %v, %v", chain, err)
			}
		})
	}
}
