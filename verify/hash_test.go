package verify_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/daybook-ledger/daybook/verify"
)

func hexHash(t testing.TB, s string) verify.Hash {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		t.Fatalf("hash %q: %v", s, err)
	}
	return verify.Hash(b)
}

// TestHashLeafLengths crosses the length from which the hash is streamed.
func TestHashLeafLengths(t *testing.T) {
	for n := 0; n < 2100; n++ {
		entry := make([]byte, n)
		if got, want := verify.HashLeaf(entry), sha256.Sum256(make([]byte, n+1)); got != want {
			t.Fatalf("length %d: %x, want %x", n, got, want)
		}
		after := append([]byte{7}, entry...)
		if got, want := verify.HashLeafAfter(after), verify.HashLeaf(entry); got != want || after[0] != 7 {
			t.Fatalf("length %d: HashLeafAfter %x, want %x; the byte before is %d", n, got, want, after[0])
		}
	}
}

// TestCompositeHashes spells out the hashed bytes of each label.
func TestCompositeHashes(t *testing.T) {
	sum := func(s string) verify.Hash { return sha256.Sum256([]byte(s)) }
	id := "\x00\x00\x00\x20" + string(make([]byte, 32))
	for _, tc := range []struct {
		name      string
		got, want verify.Hash
	}{
		{"import", verify.ImportRunID(verify.Hash{}, "lanl-auth", 2), sum("daybook/import/v1\x00" + id + "\x00\x00\x00\x09lanl-auth\x00\x00\x00\x04\x00\x00\x00\x02")},
		{"oneoff", verify.OneOffRunID("p", []byte("id")), sum("daybook/oneoff/v1\x00\x00\x00\x00\x01p\x00\x00\x00\x02id")},
		{"seal", verify.SealCommitment([]byte("id"), 701, []byte("salt"), []byte("v")),
			sum("daybook/seal/v1\x00\x00\x00\x00\x02id\x00\x00\x00\x04\x00\x00\x02\xbd\x00\x00\x00\x04salt\x00\x00\x00\x01v")},
		{"alert", verify.AlertID(8, "web", 1, -1),
			sum("daybook/alert/v1\x00\x00\x00\x00\x04\x00\x00\x00\x08\x00\x00\x00\x03web\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x08\xff\xff\xff\xff\xff\xff\xff\xff")},
		{"run", verify.RunStart("p", verify.Hash{}), sum("daybook/run/v1\x00\x00\x00\x00\x01p" + id)},
		{"run next", verify.RunNext(verify.Hash{}, 258, verify.Hash{}), sum(string(make([]byte, 32)) + "\x00\x00\x00\x00\x00\x00\x01\x02" + string(make([]byte, 32)))},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %x, want %x", tc.name, tc.got, tc.want)
		}
	}
	if got, want := string(verify.HeartbeatMessage(verify.Hash{}, 1, 2)),
		"daybook/heartbeat/v1\x00"+string(make([]byte, 32))+"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02"; got != want {
		t.Errorf("heartbeat %q", got)
	}
	if got, want := string(verify.EndMessage(verify.Hash{}, 1, 2)),
		"daybook/end/v1\x00"+string(make([]byte, 32))+"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02"; got != want {
		t.Errorf("end %q", got)
	}
}
