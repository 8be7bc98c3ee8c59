package verify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/mldsa"
)

// Signature types of c2sp.org/signed-note that this package knows.
const (
	keyEd25519     = 0x01 // Ed25519 over the text
	keyCosignature = 0x04 // timestamped Ed25519 cosignature
	keyMLDSA       = 0x06 // timestamped ML-DSA-44 cosignature
)

// Limits of a signed note.
const (
	maxNote           = 1 << 20 // bytes
	maxNoteSignatures = 100     // lines; signed-note asks for 16 or more
	maxName           = 255     // bytes of an origin or key name (the 0x06 message has u8 lengths)
)

// sigPrefix begins a signature line: an em dash and a space.
const sigPrefix = "\u2014 "

// noteSignature is one signature line of a note.
type noteSignature struct {
	name  string
	keyID uint32
	blob  []byte // after the key id
}

// splitNote splits a signed note (c2sp.org/signed-note@v1.0.0) at its last
// blank line into the signed text, with its final newline, and the signatures.
func splitNote(note []byte) (text []byte, sigs []noteSignature, err error) {
	if len(note) > maxNote {
		return nil, nil, fmt.Errorf("note of %d bytes, limit %d", len(note), maxNote)
	}
	if !utf8.Valid(note) {
		return nil, nil, errors.New("note is not UTF-8")
	}
	for _, c := range note {
		if c < 0x20 && c != '\n' {
			return nil, nil, fmt.Errorf("note has control character %#x", c)
		}
	}
	i := bytes.LastIndex(note, []byte("\n\n"))
	if i < 0 {
		return nil, nil, errors.New("note has no signatures")
	}
	text, rest := note[:i+1], string(note[i+2:])
	if rest == "" || !strings.HasSuffix(rest, "\n") {
		return nil, nil, errors.New("note does not end in a signature line")
	}
	for line := range strings.SplitSeq(rest[:len(rest)-1], "\n") {
		if len(sigs) == maxNoteSignatures {
			return nil, nil, fmt.Errorf("note has over %d signatures", maxNoteSignatures)
		}
		s, err := parseSignature(line)
		if err != nil {
			return nil, nil, err
		}
		sigs = append(sigs, s)
	}
	return text, sigs, nil
}

// parseSignature reads "— <name> <base64(u32 key id || signature)>".
func parseSignature(line string) (noteSignature, error) {
	rest, ok := strings.CutPrefix(line, sigPrefix)
	if !ok {
		return noteSignature{}, errors.New("note has a malformed signature line")
	}
	name, encoded, _ := strings.Cut(rest, " ")
	blob, err := decodeBase64(encoded)
	if err != nil || len(blob) < 5 || !validName(name) {
		return noteSignature{}, errors.New("note has a malformed signature line")
	}
	return noteSignature{name: name, keyID: binary.BigEndian.Uint32(blob), blob: blob[4:]}, nil
}

// validName reports whether a key name is one of signed-note's.
func validName(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsSpace) && !strings.Contains(name, "+")
}

// decodeBase64 decodes standard padded base64 that re-encodes to itself.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("line break in base64")
	}
	return strictBase64.DecodeString(s)
}

// key is a public key under a name (a vkey).
type key struct {
	name   string
	id     uint32
	typ    byte
	public []byte
	mldsa  *mldsa.PublicKey // where typ is keyMLDSA
}

// parseVKey reads a verifier key, <name>+<8 hex digits of the key id>+<base64
// of type and public key>, strictly.
func parseVKey(vkey string) (key, error) {
	name, rest, ok := strings.Cut(vkey, "+")
	id, encoded, ok2 := strings.Cut(rest, "+")
	if !ok || !ok2 || !validName(name) || len(name) > maxName {
		return key{}, fmt.Errorf("vkey %.60q is malformed", vkey)
	}
	raw, err := decodeBase64(encoded)
	if err != nil || len(raw) < 2 {
		return key{}, fmt.Errorf("vkey %.60q: malformed base64", vkey)
	}
	k := key{name: name, typ: raw[0], public: raw[1:]}
	sum := sha256.Sum256(append([]byte(name+"\n"), raw...))
	k.id = binary.BigEndian.Uint32(sum[:])
	if id != fmt.Sprintf("%08x", k.id) {
		return key{}, fmt.Errorf("vkey %.60q: key id %.16q, want %08x", vkey, id, k.id)
	}
	switch k.typ {
	case keyEd25519, keyCosignature:
		if len(k.public) != ed25519.PublicKeySize {
			return key{}, fmt.Errorf("vkey %.60q: key of %d bytes, want %d", vkey, len(k.public), ed25519.PublicKeySize)
		}
	case keyMLDSA:
		if k.mldsa, err = mldsa.NewPublicKey(mldsa.MLDSA44(), k.public); err != nil {
			return key{}, fmt.Errorf("vkey %.60q: %w", vkey, err)
		}
	default:
		return key{}, fmt.Errorf("vkey %.60q: signature type %#x is not known", vkey, k.typ)
	}
	return k, nil
}

// VKeyOrigin returns the name in a verifier key, which for a log's key is the
// log's origin. The key is checked whole.
func VKeyOrigin(vkey string) (name string, err error) {
	k, err := parseVKey(vkey)
	return k.name, err
}

// verify checks one signature of a checkpoint's text and returns the time the
// signer states, in Unix seconds; 0 where its type has none.
func (k *key) verify(text []byte, c Checkpoint, blob []byte) (unix int64, err error) {
	if k.typ == keyEd25519 {
		if !ed25519.Verify(k.public, text, blob) {
			return 0, fmt.Errorf("key %s+%08x: %w", k.name, k.id, ErrSignature)
		}
		return 0, nil
	}
	if len(blob) < 8 || binary.BigEndian.Uint64(blob) > math.MaxInt64 {
		return 0, fmt.Errorf("key %s+%08x: malformed timestamp: %w", k.name, k.id, ErrSignature)
	}
	stamp, sig := binary.BigEndian.Uint64(blob), blob[8:]
	ok := false
	if k.typ == keyCosignature {
		message := append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", stamp), text...)
		ok = ed25519.Verify(k.public, message, sig)
	} else {
		ok = mldsa.Verify(k.mldsa, subtreeMessage(k.name, stamp, c), sig, nil) == nil
	}
	if !ok {
		return 0, fmt.Errorf("key %s+%08x: %w", k.name, k.id, ErrSignature)
	}
	return int64(stamp), nil
}

// subtreeMessage is what a 0x06 signature of a checkpoint signs
// (c2sp.org/tlog-cosignature@v1.1.0-rc.1): the subtree [0, size).
func subtreeMessage(name string, stamp uint64, c Checkpoint) []byte {
	b := []byte("subtree/v1\n\x00")
	b = append(b, byte(len(name)))
	b = append(b, name...)
	b = binary.BigEndian.AppendUint64(b, stamp)
	b = append(b, byte(len(c.Origin)))
	b = append(b, c.Origin...)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, c.Size)
	return append(b, c.Root[:]...)
}
