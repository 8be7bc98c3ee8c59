package verify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// ReceiptClaims is what a checked receipt proves.
type ReceiptClaims struct {
	Origin    string         // the log
	Size      uint64         // its size at the checkpoint
	Root      Hash           // its root there
	Index     uint64         // the entry's index
	Leaf      Hash           // the entry's leaf hash
	Witnesses []Cosigned     // who cosigned the checkpoint, of the policy's witnesses
	Kind      daybookv1.Kind // the entry's kind
	LogTimeNS int64          // when the log took it, as the log states it
	Producer  string         // who submitted the body
	Run       Hash           // in which run
	Number    uint64         // under which number of it; 0: none
	Source    string         // the stream's source id
	Target    string         // the stream's target id
}

// CheckReceipt makes the whole offline check of a .tlog-proof file and its
// entry: the checkpoint opens under the policy, the entry's bytes are in the
// tree at the index, they are an entry, it says the same index, and its body is
// the message its kind names. p must not be nil.
//
// Where the entry is in the tree but of a later format, the error is ErrNewer
// and the claims hold as far as they were read.
func CheckReceipt(p *Policy, receipt, entry []byte) (ReceiptClaims, error) {
	if p == nil {
		return ReceiptClaims{}, errors.New("no policy")
	}
	c := ReceiptChecker{Policy: p}
	return c.Check(receipt, entry)
}

// ReceiptChecker checks many receipts; it remembers the last checkpoint that
// opened, so that receipts under one checkpoint cost one signature. It is not
// safe for concurrent use.
type ReceiptChecker struct {
	// Policy is whom to trust. Without one the signatures are not checked, and
	// what Check accepts is no more than consistent in itself.
	Policy *Policy

	note   []byte // the last note that opened
	opened Opened
	path   provenPath
}

// Check is CheckReceipt under c's policy.
func (c *ReceiptChecker) Check(receipt, entry []byte) (ReceiptClaims, error) {
	r, err := ParseReceipt(receipt)
	if err != nil {
		return ReceiptClaims{}, err
	}
	if err := c.open(r.Checkpoint); err != nil {
		return ReceiptClaims{}, err
	}
	o := &c.opened
	leaf := HashLeaf(entry)
	if err := c.path.check(r.Index, o.Size, leaf, r.Proof, o.Root); err != nil {
		return ReceiptClaims{}, err
	}
	claims := ReceiptClaims{Origin: o.Origin, Size: o.Size, Root: o.Root, Index: r.Index, Leaf: leaf, Witnesses: o.Witnesses}
	e, err := ParseEntry(entry)
	if err != nil {
		return claims, fmt.Errorf("entry %d: %w", r.Index, err)
	}
	if e.Place.Index != r.Index {
		return claims, fmt.Errorf("entry %d says its index is %d", r.Index, e.Place.Index)
	}
	claims.Kind, claims.LogTimeNS = e.Place.Kind, e.Head.LogTimeNS
	claims.Producer, claims.Run, claims.Number = strings.Clone(e.Head.Producer), e.Head.Run, e.Place.Number
	claims.Source, claims.Target = strings.Clone(e.Place.Source), strings.Clone(e.Place.Target)
	if err := CheckBody(e.Place.Kind, e.Body); err != nil {
		return claims, fmt.Errorf("entry %d body: %w", r.Index, err)
	}
	return claims, nil
}

// open opens a note, unless it is the one that opened last.
func (c *ReceiptChecker) open(note []byte) error {
	if c.note != nil && bytes.Equal(c.note, note) {
		return nil
	}
	var o Opened
	var err error
	if c.Policy != nil {
		o, err = c.Policy.Open(note)
	} else {
		o.Checkpoint, err = OpenUnverified(note)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	c.note, c.opened = bytes.Clone(note), o
	return nil
}

// provenPath remembers the last inclusion proof that led to a root: a proof
// that meets it, and goes on as it did, leads there too. Receipts of neighbours
// then cost a few hashes instead of one a level.
type provenPath struct {
	index, size uint64
	root        Hash
	nodes       [64]Hash // by level, the leaf first
	rest        [64]int  // by level: how many hashes of the proof were left
	proof       []Hash
}

// check is CheckInclusion.
func (p *provenPath) check(index, size uint64, leaf Hash, proof []Hash, root Hash) error {
	known := p.proof != nil && p.size == size && p.root == root
	if len(proof) != RangeProofLen(index, index+1, size) || index >= size || size > MaxSize {
		return CheckInclusion(index, size, leaf, proof, root) // says why not
	}
	var nodes [64]Hash
	var rest [64]int
	node, left := leaf, proof
	level := 0
	for i, last := index, size-1; last > 0; i, last, level = i>>1, last>>1, level+1 {
		nodes[level], rest[level] = node, len(left)
		if known && i == p.index>>level && node == p.nodes[level] && slices.Equal(left, p.proof[len(p.proof)-p.rest[level]:]) {
			copy(nodes[level:], p.nodes[level:])
			copy(rest[level:], p.rest[level:])
			node = root
			break
		}
		switch {
		case i&1 == 1:
			node, left = HashNode(left[0], node), left[1:]
		case i < last:
			node, left = HashNode(node, left[0]), left[1:]
		}
	}
	if node != root {
		return CheckInclusion(index, size, leaf, proof, root)
	}
	*p = provenPath{index: index, size: size, root: root, nodes: nodes, rest: rest, proof: proof}
	return nil
}
