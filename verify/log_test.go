package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// signer signs checkpoints under one key; the same seed gives the same bytes.
type signer struct {
	name string
	typ  byte
	seed [32]byte
}

func newSigner(name string, typ byte) *signer {
	return &signer{name: name, typ: typ, seed: sha256.Sum256(fmt.Append(nil, name, typ))}
}

func (s *signer) public(t testing.TB) []byte {
	if s.typ == 6 {
		key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), s.seed[:])
		if err != nil {
			t.Fatal(err)
		}
		return key.PublicKey().Bytes()
	}
	return ed25519.NewKeyFromSeed(s.seed[:]).Public().(ed25519.PublicKey)
}

func (s *signer) id(t testing.TB) []byte {
	sum := sha256.Sum256(append([]byte(s.name+"\n"+string(s.typ)), s.public(t)...))
	return sum[:4]
}

func (s *signer) vkey(t testing.TB) string {
	return fmt.Sprintf("%s+%x+%s", s.name, s.id(t), base64.StdEncoding.EncodeToString(append([]byte{s.typ}, s.public(t)...)))
}

// line signs a checkpoint's text at a time, and returns the signature line.
func (s *signer) line(t testing.TB, text string, unix uint64) string {
	c, err := verify.ParseCheckpoint(text)
	if err != nil {
		t.Fatal(err)
	}
	blob := s.id(t)
	key := ed25519.NewKeyFromSeed(s.seed[:])
	switch s.typ {
	case 1:
		blob = append(blob, ed25519.Sign(key, []byte(text))...)
	case 4:
		blob = binary.BigEndian.AppendUint64(blob, unix)
		blob = append(blob, ed25519.Sign(key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", unix, text))...)
	case 6:
		blob = binary.BigEndian.AppendUint64(blob, unix)
		message := append([]byte("subtree/v1\n\x00"), byte(len(s.name)))
		message = binary.BigEndian.AppendUint64(append(message, s.name...), unix)
		message = append(append(message, byte(len(c.Origin))), c.Origin...)
		message = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(message, 0), c.Size)
		private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), s.seed[:])
		if err != nil {
			t.Fatal(err)
		}
		sig, err := private.SignDeterministic(append(message, c.Root[:]...), nil)
		if err != nil {
			t.Fatal(err)
		}
		blob = append(blob, sig...)
	}
	return "\u2014 " + s.name + " " + base64.StdEncoding.EncodeToString(blob) + "\n"
}

// TestSignersAgreeWithOthers holds the signer above against x/mod.
func TestSignersAgreeWithOthers(t *testing.T) {
	s := newSigner("example.com/log", 1)
	v, err := note.NewVerifier(s.vkey(t))
	if err != nil {
		t.Fatal(err)
	}
	text := verify.FormatCheckpoint(verify.Checkpoint{Origin: s.name, Root: verify.EmptyRoot()})
	if _, err := note.Open([]byte(text+"\n"+s.line(t, text, 0)), note.VerifierList(v)); err != nil {
		t.Fatal(err)
	}
}

// sampleLog is a small log with an entry of every usual kind.
type sampleLog struct {
	origin  *signer
	entries [][]byte
	leaves  tree
}

const sampleRunProducer = "spiffe://web.example/gateway-1"

func newSampleLog(t testing.TB, accesses int) *sampleLog {
	t.Helper()
	l := &sampleLog{origin: newSigner("demo.invalid/log-0badcafe", 1)}
	own := verify.BatchHead{FormatVersion: 1, LogTimeNS: 1_783_000_000_000_000_000, Producer: l.origin.name,
		KeyFingerprint: sha256.Sum256([]byte(l.origin.vkey(t))), Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND,
		Run: sha256.Sum256([]byte("opening 1")), Epoch: 1, RulesVersion: 1}
	l.add(t, own, verify.EntryHead{Kind: daybookv1.Kind_KIND_ORIGIN_OPENED},
		marshal(t, &daybookv1.OriginOpened{Origin: l.origin.name, Vkey: l.origin.vkey(t), FormatVersion: 1, RulesVersion: 1, LatenessLimitNs: 300e9}))
	run := sha256.Sum256([]byte("run 1"))
	head := verify.BatchHead{FormatVersion: 1, LogTimeNS: 1_783_000_000_100_000_000, Producer: sampleRunProducer,
		KeyFingerprint: sha256.Sum256([]byte("spki")), Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, Run: run, Epoch: 1, RulesVersion: 1}
	l.add(t, head, verify.EntryHead{Kind: daybookv1.Kind_KIND_RUN_OPENED, Source: "web.example"},
		marshal(t, &daybookv1.RunOpened{Run: run[:], Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND}))
	for i := range accesses {
		e := sampleEvent()
		e.EventId = fmt.Appendf(nil, "event-%04d", i)
		place := verify.EntryHead{Kind: daybookv1.Kind_KIND_ACCESS, Number: uint64(i) + 1, Source: "broker.desk.example", Target: "prod.db.example",
			Side: daybookv1.Side_SIDE_TARGET, Position: uint64(i), PreviousInRun: uint64(len(l.entries)), Verdict: daybookv1.Verdict_VERDICT_UNDECLARED}
		if i > 0 {
			place.PreviousInStream = uint64(len(l.entries))
		}
		l.add(t, head, place, marshal(t, e))
	}
	return l
}

func (l *sampleLog) add(t testing.TB, head verify.BatchHead, place verify.EntryHead, body []byte) {
	place.Index = uint64(len(l.entries))
	if err := verify.CheckBody(place.Kind, body); err != nil {
		t.Fatal(err)
	}
	entry := verify.AppendEntry(nil, head.AppendTo(nil), place.AppendTo(nil), body)
	l.entries = append(l.entries, entry)
	l.leaves = append(l.leaves, verify.HashLeaf(entry))
}

func (l *sampleLog) text(size int) string {
	return verify.FormatCheckpoint(verify.Checkpoint{Origin: l.origin.name, Size: uint64(size), Root: l.leaves[:size].root()})
}

// checkpoint is the log's signed note at a size, cosigned by the witnesses.
func (l *sampleLog) checkpoint(t testing.TB, size int, witnesses ...*signer) []byte {
	text := l.text(size)
	var b bytes.Buffer
	b.WriteString(text + "\n" + l.origin.line(t, text, 0))
	for i, w := range witnesses {
		b.WriteString(w.line(t, text, 1_783_000_001+uint64(i)))
	}
	return b.Bytes()
}

func (l *sampleLog) receipt(t testing.TB, index, size int, witnesses ...*signer) []byte {
	p, err := verify.ProveRange(uint64(index), uint64(index)+1, uint64(size), l.leaves[:size].nodes)
	if err != nil {
		t.Fatal(err)
	}
	return verify.FormatReceipt(verify.Receipt{Index: uint64(index), Proof: p, Checkpoint: l.checkpoint(t, size, witnesses...)})
}

func (l *sampleLog) policy(t testing.TB, lines ...string) *verify.Policy {
	t.Helper()
	text := verify.FormatPolicy(l.origin.vkey(t))
	if len(lines) > 0 {
		text = "log " + l.origin.vkey(t) + "\n" + strings.Join(lines, "\n") + "\n"
	}
	p, err := verify.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sign is the plain Ed25519 signature of a text.
func (s *signer) sign(text []byte) []byte {
	return ed25519.Sign(ed25519.NewKeyFromSeed(s.seed[:]), text)
}
