package verify

import (
	"crypto/sha256"
	_ "embed" // for the word list
	"strings"
)

// wordText is the English word list of BIP-39, 2,048 lines, SHA-256
// 2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda. Its licence
// stands in testdata/README.md.
//
//go:embed words.txt
var wordText string

// Shape of a fingerprint in words.
const (
	fingerprintWords = 12
	wordBits         = 11
)

// VKeyFingerprint returns the fingerprint of a verifier key: SHA-256 of its text,
// <name>+<key id>+<base64>, in UTF-8 and without a line end. So it covers the
// origin, the signature type and the key. The vkey is checked whole.
func VKeyFingerprint(vkey string) (Hash, error) {
	if _, err := parseVKey(vkey); err != nil {
		return Hash{}, err
	}
	return sha256.Sum256([]byte(vkey)), nil
}

// FingerprintWords returns the first 132 bits of a SHA-256 sum as twelve words,
// to be read out, typed and compared by people:
//
//	SHA-256 7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f...
//	words   legal winner thank year wave sausage worth useful legal winner thank year
//
// The sum is read as one number, most significant bit first; each 11 bits of it
// are the line, from 0, of a word in the English list of BIP-39 (words.txt): no
// two of its words have the same first four letters, so four letters of each are
// enough to write one down. They are the first twelve words of the mnemonic that
// BIP-39 has for the same 256 bits, so any program for it can be used to compare;
// there is no secret in them, and the checksum of BIP-39 is not there.
//
// Twelve words are enough: whoever wants to pass another key off has to find one
// with the same words, about 2^132 tries, beyond what Ed25519 itself withstands
// (2^128). Two keys of one's own with the same words take 2^66, but win nothing:
// whoever holds the key that was lodged can sign with that one. Eight words (88
// bits) would withstand a single key's search too, not by the margin that a
// paper in a vault for decades should have.
func FingerprintWords(sum Hash) []string {
	list := strings.Fields(wordText)
	words := make([]string, fingerprintWords)
	for i := range words {
		line := 0
		for bit := i * wordBits; bit < (i+1)*wordBits; bit++ {
			line = line<<1 | int(sum[bit/8]>>(7-bit%8)&1)
		}
		words[i] = list[line]
	}
	return words
}
