package verify

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
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
	r.Proof = make([]Hash, 0, min(len(rest)/hashText, maxProof))
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
