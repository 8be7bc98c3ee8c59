package verify

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Receipt proves that an entry is in a log: the content of a .tlog-proof file
// (c2sp.org/tlog-proof, draft of 2026-05-22), whose entry lies beside it:
//
//	c2sp.org/tlog-proof@v1
//	[extra <base64>]
//	index <decimal>
//	<base64 hash>...
//
//	<signed checkpoint>
type Receipt struct {
	Index      uint64 // of the entry, at most MaxSize-1
	Proof      []Hash // inclusion proof, the leaf's sibling first; at most 63
	Checkpoint []byte // signed note
	Extra      []byte // unauthenticated; nil: none
}

const (
	receiptHeader  = "c2sp.org/tlog-proof@v1"
	receiptVersion = "c2sp.org/tlog-proof@"
	maxProof       = 63
)

// FormatReceipt returns the bytes of a .tlog-proof file.
func FormatReceipt(r Receipt) []byte {
	b := append(make([]byte, 0, 64+45*len(r.Proof)+len(r.Checkpoint)), receiptHeader+"\n"...)
	if len(r.Extra) > 0 {
		b = append(b, "extra "...)
		b = base64.StdEncoding.AppendEncode(b, r.Extra)
		b = append(b, '\n')
	}
	b = append(b, "index "...)
	b = strconv.AppendUint(b, r.Index, 10)
	b = append(b, '\n')
	for i := range r.Proof {
		b = base64.StdEncoding.AppendEncode(b, r.Proof[i][:])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, r.Checkpoint...)
}

// ParseReceipt reads a .tlog-proof file strictly: FormatReceipt of the result
// gives the same bytes. Checkpoint aliases b and is not looked into. Another
// version of the format gives ErrNewer.
func ParseReceipt(b []byte) (Receipt, error) {
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return Receipt{}, errors.New("receipt has no blank line before its checkpoint")
	}
	if len(head) > maxNote {
		return Receipt{}, fmt.Errorf("receipt with %d bytes before its checkpoint, limit %d", len(head), maxNote)
	}
	if len(checkpoint) == 0 {
		return Receipt{}, errors.New("receipt has no checkpoint")
	}
	r := Receipt{Checkpoint: checkpoint}
	line, rest, _ := strings.Cut(string(head), "\n")
	if line != receiptHeader {
		if strings.HasPrefix(line, receiptVersion) {
			return Receipt{}, &newerError{field: "header", what: fmt.Sprintf("version %.40q", line)}
		}
		return Receipt{}, fmt.Errorf("receipt begins with %.40q, want %q", line, receiptHeader)
	}
	line, rest, _ = strings.Cut(rest, "\n")
	var err error
	if extra, ok := strings.CutPrefix(line, "extra "); ok {
		if r.Extra, err = decodeBase64(extra); err != nil || len(r.Extra) == 0 {
			return Receipt{}, errors.New("receipt has a malformed extra line")
		}
		line, rest, _ = strings.Cut(rest, "\n")
	}
	index, ok := strings.CutPrefix(line, "index ")
	if !ok {
		return Receipt{}, errors.New("receipt has no index line")
	}
	if r.Index, err = parseSize(index); err != nil {
		return Receipt{}, fmt.Errorf("receipt index: %w", err)
	}
	for rest != "" {
		if len(r.Proof) == maxProof {
			return Receipt{}, fmt.Errorf("receipt proof has over %d hashes", maxProof)
		}
		line, rest, _ = strings.Cut(rest, "\n")
		h, err := parseHash(line)
		if err != nil {
			return Receipt{}, fmt.Errorf("receipt proof: %w", err)
		}
		r.Proof = append(r.Proof, h)
	}
	return r, nil
}

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
	if err := CheckInclusion(r.Index, o.Size, leaf, r.Proof, o.Root); err != nil {
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
