// Package cosigntest has keys of witnesses for tests.
package cosigntest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"filippo.io/mldsa"

	"github.com/daybook-ledger/daybook/verify"
)

// Types of keys.
const (
	Ed25519 = 0x04
	MLDSA   = 0x06
)

// A Witness is the key of a witness, derived from its name; it signs whatever it is
// given.
type Witness struct {
	Name string
	Type byte
}

func (w Witness) seed() []byte {
	sum := sha256.Sum256([]byte(w.Name))
	return sum[:]
}

func (w Witness) mldsa() *mldsa.PrivateKey {
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), w.seed())
	if err != nil {
		panic("witness key: " + err.Error())
	}
	return key
}

func (w Witness) public() []byte {
	if w.Type == MLDSA {
		return append([]byte{w.Type}, w.mldsa().PublicKey().Bytes()...)
	}
	return append([]byte{w.Type}, ed25519.NewKeyFromSeed(w.seed()).Public().(ed25519.PublicKey)...)
}

func (w Witness) id() []byte {
	sum := sha256.Sum256(append([]byte(w.Name+"\n"), w.public()...))
	return sum[:4]
}

// VKey is the verifier key.
func (w Witness) VKey() string {
	return fmt.Sprintf("%s+%x+%s", w.Name, w.id(), base64.StdEncoding.EncodeToString(w.public()))
}

// Line cosigns the checkpoint in a signed note at a time in Unix seconds.
func (w Witness) Line(note []byte, unix uint64) string {
	text := note[:bytes.LastIndex(note, []byte("\n\n"))+1]
	c, err := verify.ParseCheckpoint(string(text))
	if err != nil {
		panic("cosigning: " + err.Error())
	}
	blob := binary.BigEndian.AppendUint64(w.id(), unix)
	if w.Type == MLDSA {
		m := append([]byte("subtree/v1\n\x00"), byte(len(w.Name)))
		m = binary.BigEndian.AppendUint64(append(m, w.Name...), unix)
		m = append(append(m, byte(len(c.Origin))), c.Origin...)
		m = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(m, 0), c.Size)
		sig, err := w.mldsa().SignDeterministic(append(m, c.Root[:]...), nil)
		if err != nil {
			panic("cosigning: " + err.Error())
		}
		blob = append(blob, sig...)
	} else {
		m := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", unix, text)
		blob = append(blob, ed25519.Sign(ed25519.NewKeyFromSeed(w.seed()), m)...)
	}
	return "\u2014 " + w.Name + " " + base64.StdEncoding.EncodeToString(blob) + "\n"
}
