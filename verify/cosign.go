package verify

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// A Witness is one witness of a policy.
type Witness struct {
	Name string // in the policy
	Key  string // name of its key, as signature lines have it
	VKey string
	URL  string // as the policy gives it, not checked; empty: none
}

// Witnesses returns the witnesses that the policy names, in its order.
func (p *Policy) Witnesses() []Witness {
	var out []Witness
	for _, m := range p.members {
		if m.key < 0 {
			continue
		}
		k := &p.keys[p.logs+m.key]
		out = append(out, Witness{Name: m.name, Key: k.name, VKey: k.vkey(), URL: m.url})
	}
	return out
}

// LogKeys returns the verifier keys of the logs that the policy trusts.
func (p *Policy) LogKeys() []string {
	var out []string
	for i := range p.keys[:p.logs] {
		out = append(out, p.keys[i].vkey())
	}
	return out
}

// NeedsQuorum tells whether the policy asks for cosignatures at all.
func (p *Policy) NeedsQuorum() bool { return p.quorum >= 0 }

// SatisfiedBy tells whether the cosignatures of those witnesses, by their names in
// the policy, would be enough.
func (p *Policy) SatisfiedBy(names map[string]bool) bool {
	cosigned := make([]bool, len(p.keys)-p.logs)
	for _, m := range p.members {
		if m.key >= 0 {
			cosigned[m.key] = names[m.name]
		}
	}
	return p.satisfied(cosigned)
}

// vkey is the verifier key that parseVKey reads.
func (k *key) vkey() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.id, base64.StdEncoding.EncodeToString(append([]byte{k.typ}, k.public...)))
}

// Cosigned returns who of the policy's witnesses cosigned a note, in the order of
// its lines, whether or not they are enough. A line of a key of the policy that
// does not verify is ErrSignature. Signatures of logs are not looked at.
func (p *Policy) Cosigned(note []byte) ([]Cosigned, error) {
	text, sigs, err := splitNote(note)
	if err != nil {
		return nil, err
	}
	c, err := ParseCheckpoint(string(text))
	if err != nil {
		return nil, err
	}
	var by []Cosigned
	for _, s := range sigs {
		switch who, err := p.cosigned(text, c, s); {
		case err != nil:
			return nil, err
		case who != nil:
			by = append(by, *who)
		}
	}
	return by, nil
}

// cosigned returns who made a signature; nil: no witness of the policy.
func (p *Policy) cosigned(text []byte, c Checkpoint, s noteSignature) (*Cosigned, error) {
	for i := p.logs; i < len(p.keys); i++ {
		k := &p.keys[i]
		if k.name != s.name || k.id != s.keyID {
			continue
		}
		unix, err := k.verify(text, c, s.blob)
		if err == nil && unix == 0 {
			err = fmt.Errorf("key %s+%08x: cosignature without a time: %w", k.name, k.id, ErrSignature)
		}
		if err != nil {
			return nil, err
		}
		return &Cosigned{Name: k.name, Unix: unix, Witness: p.witness(i - p.logs)}, nil
	}
	return nil, nil
}

// errLines says that a witness answered with what are no signature lines.
var errLines = errors.New("no signature lines")

// Cosign attaches to a signed note what a witness answered
// (c2sp.org/tlog-witness@v1.0.0): one or more signature lines, each ended. Those
// of the policy's witnesses that verify are attached, behind the lines that are
// there; lines of other keys are dropped. Where the note has a line of the same
// key, renew says whether the one with the later time stays, or the one that is
// there. by are the witnesses whose lines verified. A line of a witness of the
// policy that does not verify is ErrSignature, and nothing of the answer is
// attached: such a line would spoil the whole note for whoever knows the key.
func (p *Policy) Cosign(note, lines []byte, renew bool) (cosigned []byte, by []Cosigned, err error) {
	text, sigs, err := splitNote(note)
	if err != nil {
		return nil, nil, err
	}
	c, err := ParseCheckpoint(string(text))
	if err != nil {
		return nil, nil, err
	}
	// No line may hold the blank line at which notes are split.
	if len(lines) == 0 || lines[0] == '\n' || bytes.Contains(lines, []byte("\n\n")) {
		return nil, nil, errLines
	}
	_, added, err := splitNote(append(append(bytes.Clone(text), '\n'), lines...))
	if err != nil {
		return nil, nil, err
	}
	for _, s := range added {
		who, err := p.cosigned(text, c, s)
		if err != nil {
			return nil, nil, err
		}
		if who == nil {
			continue
		}
		by = append(by, *who)
		sigs = attach(sigs, s, renew)
	}
	if len(sigs) > maxNoteSignatures {
		return nil, nil, fmt.Errorf("note would have over %d signatures", maxNoteSignatures)
	}
	return formatNote(text, sigs), by, nil
}

// attach adds a cosignature that verified, or lets it take the place of the one
// of the same key.
func attach(sigs []noteSignature, s noteSignature, renew bool) []noteSignature {
	for i := range sigs {
		if sigs[i].name != s.name || sigs[i].keyID != s.keyID {
			continue
		}
		if renew && len(sigs[i].blob) >= 8 && binary.BigEndian.Uint64(sigs[i].blob) < binary.BigEndian.Uint64(s.blob) {
			sigs[i] = s
		}
		return sigs
	}
	return append(sigs, s)
}

// formatNote is the note that splitNote takes apart.
func formatNote(text []byte, sigs []noteSignature) []byte {
	b := append(bytes.Clone(text), '\n')
	for _, s := range sigs {
		b = append(append(append(b, sigPrefix...), s.name...), ' ')
		b = base64.StdEncoding.AppendEncode(b, append(binary.BigEndian.AppendUint32(nil, s.keyID), s.blob...))
		b = append(b, '\n')
	}
	return b
}

// CosignatureLines returns the signature lines of a note, as a witness would
// answer them: what Cosign of another note of the same checkpoint takes.
func CosignatureLines(note []byte) ([]byte, error) {
	if _, _, err := splitNote(note); err != nil {
		return nil, err
	}
	return note[bytes.LastIndex(note, []byte("\n\n"))+2:], nil
}
