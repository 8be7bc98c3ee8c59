package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Checkpoint is the text that a log signs (c2sp.org/tlog-checkpoint@v1.0.0):
//
//	demo.invalid/log
//	3
//	5ZZ0XcAOB+2kkcXV6tN38hLVT9d4EsBpPJl1YBnqCvE=
//
// Extension lines are refused: 0x06 signatures do not cover them.
type Checkpoint struct {
	Origin string // 1-255 bytes of UTF-8 without spaces, '+' and control characters
	Size   uint64 // at most MaxSize
	Root   Hash   // the empty root at size 0
}

// FormatCheckpoint returns the text of a checkpoint, with its final newline.
func FormatCheckpoint(c Checkpoint) string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// ParseCheckpoint reads the text of a checkpoint strictly: FormatCheckpoint of
// the result gives the same bytes.
func ParseCheckpoint(text string) (Checkpoint, error) {
	origin, rest, _ := strings.Cut(text, "\n")
	size, rest, _ := strings.Cut(rest, "\n")
	root, rest, ok := strings.Cut(rest, "\n")
	if !ok {
		return Checkpoint{}, errors.New("checkpoint has under three lines")
	}
	if rest != "" {
		return Checkpoint{}, errors.New("checkpoint has lines after the root")
	}
	var c Checkpoint
	var err error
	if err := checkOrigin(origin); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	c.Origin = origin
	if c.Size, err = parseSize(size); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint size: %w", err)
	}
	if c.Root, err = parseHash(root); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint root: %w", err)
	}
	if c.Size == 0 && c.Root != EmptyRoot() {
		return Checkpoint{}, errors.New("checkpoint of size 0 with a root that is not the empty one")
	}
	return c, nil
}

// checkOrigin refuses an origin that could not be a key's name.
func checkOrigin(origin string) error {
	if !validName(origin) || len(origin) > maxName || !utf8.ValidString(origin) ||
		strings.ContainsFunc(origin, unicode.IsControl) {
		return fmt.Errorf("origin %.80q is malformed", origin)
	}
	return nil
}

// parseSize reads a decimal number without leading zeros, at most MaxSize.
func parseSize(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("number %.30q is malformed", s)
	}
	return n, nil
}

// strictBase64 takes standard padded base64 that re-encodes to itself; line
// breaks it would skip are refused before.
var strictBase64 = base64.StdEncoding.Strict()

// hashText is the length of a hash in base64.
const hashText = 44

// parseHash reads the base64 of 32 bytes.
func parseHash(s string) (Hash, error) {
	var text [hashText]byte
	var raw [hashText]byte // Decode may write a little past the 32 bytes
	if len(s) != hashText {
		return Hash{}, fmt.Errorf("hash %.60q is malformed", s)
	}
	copy(text[:], s)
	// A skipped line break would leave fewer than 44 digits: no 32 bytes.
	if n, err := strictBase64.Decode(raw[:], text[:]); err != nil || n != 32 {
		return Hash{}, fmt.Errorf("hash %.60q is malformed", s)
	}
	return Hash(raw[:32]), nil
}

// FormatHashes returns one base64 hash a line, each line ended: the text of a
// consistency proof file, as in the body of a tlog-witness request. No hash
// gives no bytes.
func FormatHashes(hashes []Hash) []byte {
	var b []byte
	for i := range hashes {
		b = base64.StdEncoding.AppendEncode(b, hashes[i][:])
		b = append(b, '\n')
	}
	return b
}

// ParseHashes reads what FormatHashes wrote, strictly, at most 64 hashes.
func ParseHashes(text []byte) ([]Hash, error) {
	if len(text)%(hashText+1) != 0 || len(text) > 64*(hashText+1) {
		return nil, fmt.Errorf("proof of %d bytes, want at most 64 lines of %d", len(text), hashText+1)
	}
	var hashes []Hash
	for ; len(text) > 0; text = text[hashText+1:] {
		h, err := parseHash(string(text[:hashText]))
		if err != nil || text[hashText] != '\n' {
			return nil, fmt.Errorf("proof line %d is malformed", len(hashes)+1)
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}
