package verify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors of opening a checkpoint under a policy.
var (
	// ErrUnsigned says that no log of the policy signed the checkpoint under
	// its own origin.
	ErrUnsigned = errors.New("no signature by a log of the policy")
	// ErrQuorum says that too few witnesses of the policy cosigned it.
	ErrQuorum = errors.New("the policy's quorum of witnesses did not cosign")
)

// Policy says which logs are trusted and whose cosignatures a checkpoint needs
// (c2sp.org/tlog-policy, draft of 2026-06-22):
//
//	log <vkey> [url]
//	witness <name> <vkey> [url]
//	group <name> all|any|<k> <member>...
//	quorum <name>|none
//
// Any one of the logs and the quorum make a checkpoint valid. Log keys are
// Ed25519 (0x01) or ML-DSA-44 (0x06), witness keys 0x04 or 0x06. A Policy is
// immutable and safe for concurrent use.
type Policy struct {
	keys     []key // logs, then witnesses
	logs     int   // keys[:logs] are logs
	members  []member
	quorum   int // of members; -1: none
	haveLine bool
}

// member is a witness or a group; members are defined before they are used.
type member struct {
	name    string
	key     int    // of a witness: index into keys; -1 for a group
	url     string // of a witness; empty: none
	members []int  // of a group
	need    int    // how many of them
	grouped bool   // is a member of a group
}

// maxPolicy bounds the text of a policy.
const maxPolicy = 1 << 20

// FormatPolicy returns the policy that trusts one log and asks for no
// cosignature.
func FormatPolicy(vkey string) string { return "log " + vkey + "\nquorum none\n" }

// KeyPolicy returns that policy, read.
func KeyPolicy(vkey string) (*Policy, error) { return ParsePolicy([]byte(FormatPolicy(vkey))) }

// ParsePolicy reads a policy.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > maxPolicy {
		return nil, fmt.Errorf("policy of %d bytes, limit %d", len(text), maxPolicy)
	}
	p := &Policy{quorum: -1}
	var witnesses []key
	for i, line := range strings.Split(string(text), "\n") {
		for j := range len(line) {
			if c := line[j]; c < 0x20 && c != '\t' || c == 0x7f {
				return nil, fmt.Errorf("policy line %d: control character %#x", i+1, c)
			}
		}
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		var err error
		switch verb, args := fields[0], fields[1:]; verb {
		case "log":
			err = p.addLog(args)
		case "witness":
			witnesses, err = p.addWitness(args, witnesses)
		case "group":
			err = p.addGroup(args)
		case "quorum":
			err = p.setQuorum(args)
		default:
			err = fmt.Errorf("unknown word %.30q", verb)
		}
		if err != nil {
			return nil, fmt.Errorf("policy line %d: %w", i+1, err)
		}
	}
	p.logs = len(p.keys)
	p.keys = append(p.keys, witnesses...)
	return p, p.check()
}

func (p *Policy) addLog(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("want: log <vkey> [url]")
	}
	k, err := parseVKey(args[0])
	if err != nil {
		return err
	}
	if k.typ == keyCosignature {
		return fmt.Errorf("log %s has a key for cosignatures", k.name)
	}
	p.keys = append(p.keys, k)
	return nil
}

func (p *Policy) addWitness(args []string, witnesses []key) ([]key, error) {
	if len(args) < 2 || len(args) > 3 {
		return nil, errors.New("want: witness <name> <vkey> [url]")
	}
	k, err := parseVKey(args[1])
	if err != nil {
		return nil, err
	}
	if k.typ == keyEd25519 {
		return nil, fmt.Errorf("witness %s has a key that is not for cosignatures", args[0])
	}
	m := member{name: args[0], key: len(witnesses)}
	if len(args) == 3 {
		m.url = args[2]
	}
	if err := p.define(m); err != nil {
		return nil, err
	}
	return append(witnesses, k), nil
}

func (p *Policy) addGroup(args []string) error {
	if len(args) < 3 {
		return errors.New("want: group <name> all|any|<k> and its members")
	}
	g := member{name: args[0], key: -1}
	for _, name := range args[2:] {
		i := p.find(name)
		if i < 0 {
			return fmt.Errorf("group %s: member %s is not defined", g.name, name)
		}
		if p.members[i].grouped {
			return fmt.Errorf("group %s: %s is a member already", g.name, name)
		}
		p.members[i].grouped = true
		g.members = append(g.members, i)
	}
	switch args[1] {
	case "any":
		g.need = 1
	case "all":
		g.need = len(g.members)
	default:
		k, err := parseSize(args[1])
		if err != nil || k < 1 || k > uint64(len(g.members)) {
			return fmt.Errorf("group %s: threshold %.30q of %d members", g.name, args[1], len(g.members))
		}
		g.need = int(k)
	}
	return p.define(g)
}

func (p *Policy) setQuorum(args []string) error {
	if len(args) != 1 {
		return errors.New("want: quorum <name>|none")
	}
	if p.haveLine {
		return errors.New("second quorum")
	}
	p.haveLine = true
	if args[0] == "none" {
		return nil
	}
	if p.quorum = p.find(args[0]); p.quorum < 0 {
		return fmt.Errorf("quorum %s is not defined", args[0])
	}
	return nil
}

func (p *Policy) define(m member) error {
	if m.name == "none" || p.find(m.name) >= 0 {
		return fmt.Errorf("name %s is taken", m.name)
	}
	p.members = append(p.members, m)
	return nil
}

func (p *Policy) find(name string) int {
	for i := range p.members {
		if p.members[i].name == name {
			return i
		}
	}
	return -1
}

// check refuses what no line alone shows.
func (p *Policy) check() error {
	if p.logs == 0 {
		return errors.New("policy has no log")
	}
	if !p.haveLine {
		return errors.New("policy has no quorum")
	}
	for i := range p.keys {
		for j := range p.keys[:i] {
			if bytes.Equal(p.keys[i].public, p.keys[j].public) {
				return fmt.Errorf("policy has the key of %s twice", p.keys[i].name)
			}
			if p.keys[i].name == p.keys[j].name && p.keys[i].id == p.keys[j].id {
				return fmt.Errorf("policy has two keys %s+%08x", p.keys[i].name, p.keys[i].id)
			}
			if i >= p.logs && j < p.logs && p.keys[i].name == p.keys[j].name {
				return fmt.Errorf("policy has %s as a log and as its own witness", p.keys[i].name)
			}
		}
	}
	return nil
}

// Opened is a checkpoint whose signatures satisfied a policy.
type Opened struct {
	Checkpoint
	Witnesses []Cosigned // those of the policy that cosigned it
}

// Cosigned says who cosigned a checkpoint and when.
type Cosigned struct {
	Name    string // the witness's key name
	Unix    int64  // the time it states, Unix seconds
	Witness string // its name in the policy
}

// OpenCheckpoint opens a signed note as a checkpoint: a log of the policy
// signed it under its origin, and the quorum cosigned it. The signature of a
// key of the policy that does not verify refuses the whole note; signatures of
// other keys are ignored.
func (p *Policy) OpenCheckpoint(note []byte) (Checkpoint, error) {
	o, err := p.Open(note)
	return o.Checkpoint, err
}

// Open is OpenCheckpoint that says also who cosigned.
func (p *Policy) Open(note []byte) (Opened, error) {
	text, sigs, err := splitNote(note)
	if err != nil {
		return Opened{}, err
	}
	c, err := ParseCheckpoint(string(text))
	if err != nil {
		return Opened{}, err
	}
	o := Opened{Checkpoint: c}
	signed := make([]bool, len(p.keys))
	for _, s := range sigs {
		for i := range p.keys {
			k := &p.keys[i]
			if k.name != s.name || k.id != s.keyID {
				continue
			}
			unix, err := k.verify(text, c, s.blob)
			if err != nil {
				return Opened{}, err
			}
			if i >= p.logs && !signed[i] {
				o.Witnesses = append(o.Witnesses, Cosigned{Name: k.name, Unix: unix, Witness: p.witness(i - p.logs)})
			}
			signed[i] = true
		}
	}
	byLog := false
	for i := range p.keys[:p.logs] {
		byLog = byLog || signed[i] && p.keys[i].name == c.Origin
	}
	if !byLog {
		return Opened{}, fmt.Errorf("checkpoint of %q: %w", c.Origin, ErrUnsigned)
	}
	if !p.satisfied(signed[p.logs:]) {
		return Opened{}, fmt.Errorf("checkpoint of %q: %w", c.Origin, ErrQuorum)
	}
	return o, nil
}

// HasLog tells whether the policy has a key of a log of that origin.
func (p *Policy) HasLog(origin string) bool {
	return slices.ContainsFunc(p.keys[:p.logs], func(k key) bool { return k.name == origin })
}

// witness is the name in the policy of the witness with a key.
func (p *Policy) witness(key int) string {
	for _, m := range p.members {
		if m.key == key {
			return m.name
		}
	}
	return ""
}

// satisfied reports whether the quorum is among the witnesses that cosigned.
func (p *Policy) satisfied(cosigned []bool) bool {
	if p.quorum < 0 {
		return true
	}
	have := make([]bool, len(p.members))
	for i, m := range p.members {
		if m.key >= 0 {
			have[i] = cosigned[m.key]
			continue
		}
		n := 0
		for _, j := range m.members {
			if have[j] {
				n++
			}
		}
		have[i] = n >= m.need
	}
	return have[p.quorum]
}

// OpenUnverified reads a signed note as a checkpoint without checking a single
// signature: what follows from it is at most self-consistent.
func OpenUnverified(note []byte) (Checkpoint, error) {
	text, _, err := splitNote(note)
	if err != nil {
		return Checkpoint{}, err
	}
	return ParseCheckpoint(string(text))
}
