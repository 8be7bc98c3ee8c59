package verify_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
)

// fingerprintVectors are entropies of 256 bits of BIP-39's test vectors, with the
// first twelve words of the mnemonic there.
var fingerprintVectors = []struct{ sum, words string }{
	{strings.Repeat("00", 32), strings.TrimSpace(strings.Repeat("abandon ", 12))},
	{strings.Repeat("7f", 32), "legal winner thank year wave sausage worth useful legal winner thank year"},
	{strings.Repeat("80", 32), "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd"},
	{strings.Repeat("ff", 32), strings.TrimSpace(strings.Repeat("zoo ", 12))},
}

func TestFingerprintWords(t *testing.T) {
	for _, v := range fingerprintVectors {
		if got := strings.Join(verify.FingerprintWords(hexHash(t, v.sum)), " "); got != v.words {
			t.Errorf("%s: %s, want %s", v.sum, got, v.words)
		}
	}
}

// TestWordListIsTheSpecifiedOne compares the list with the sum that BIP-39's file
// has, and checks that four letters name a word.
func TestWordListIsTheSpecifiedOne(t *testing.T) {
	b, err := os.ReadFile("words.txt")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if got := hex.EncodeToString(sum[:]); got != "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda" {
		t.Errorf("words.txt has SHA-256 %s", got)
	}
	seen := map[string]string{}
	for _, w := range strings.Fields(string(b)) {
		begin := w[:min(4, len(w))]
		if seen[begin] != "" {
			t.Errorf("%s and %s begin alike", seen[begin], w)
		}
		seen[begin] = w
	}
	if len(seen) != 2048 {
		t.Errorf("%d words", len(seen))
	}
}

// TestFingerprintWordsKeepTheBits reads the words back: they are the first 132
// bits of the sum, and nothing else.
func TestFingerprintWordsKeepTheBits(t *testing.T) {
	b, err := os.ReadFile("words.txt")
	if err != nil {
		t.Fatal(err)
	}
	line := map[string]int64{}
	for i, w := range strings.Fields(string(b)) {
		line[w] = int64(i)
	}
	for i := range 500 {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		number := new(big.Int)
		for _, w := range verify.FingerprintWords(sum) {
			number.Or(number.Lsh(number, 11), big.NewInt(line[w]))
		}
		if want := new(big.Int).Rsh(new(big.Int).SetBytes(sum[:]), 256-132); number.Cmp(want) != 0 {
			t.Fatalf("%x: the words say %x, want %x", sum, number, want)
		}
	}
}

func TestVKeyFingerprintRefusesWhatIsNoKey(t *testing.T) {
	const vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
	sum, err := verify.VKeyFingerprint(vkey)
	if err != nil || sum != sha256.Sum256([]byte(vkey)) {
		t.Errorf("%x, %v", sum, err)
	}
	for _, bad := range []string{"", vkey + "\n", strings.Replace(vkey, "c74f", "c74e", 1), strings.ToLower(vkey)} {
		if _, err := verify.VKeyFingerprint(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func fingerprintCases(t *testing.T, l *sampleLog) []kitCase {
	c := []kitCase{
		{Name: "key of a log", Input: map[string]string{"vkey": l.origin.vkey(t)}, Verdict: caseOK},
		{Name: "line end", Input: map[string]string{"vkey": l.origin.vkey(t) + "\n"}, Verdict: caseRefused},
		{Name: "name of another log", Input: map[string]string{"vkey": "x" + l.origin.vkey(t)}, Verdict: caseRefused},
	}
	for _, v := range fingerprintVectors {
		c = append(c, kitCase{Name: "sum " + v.sum[:2], Input: map[string]string{"sha256": v.sum}, Verdict: caseOK})
	}
	return c
}
