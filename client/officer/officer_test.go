package officer_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/client/officer"
	"github.com/daybook-ledger/daybook/server/identity"
)

const passphrase = "correct horse battery"

func pair(t *testing.T) identity.Pair {
	t.Helper()
	ca, err := identity.NewAuthority("people.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := ca.IssueClient("spiffe://people.example/officer", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestASealedCredentialOpensWithItsPassphraseOnly(t *testing.T) {
	p := pair(t)
	file, err := officer.SealFast(p.Certificate, p.Key, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, []byte("PRIVATE KEY")) || !strings.HasPrefix(string(file), "-----BEGIN AGE ENCRYPTED FILE-----") {
		t.Errorf("the file is %.80s", file)
	}
	certificate, key, err := officer.Open(file, passphrase)
	if err != nil || !bytes.Equal(certificate, p.Certificate) || !bytes.Equal(key, p.Key) {
		t.Errorf("opened: %v", err)
	}
	if _, _, err := officer.Open(file, passphrase+"x"); !errors.Is(err, officer.ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	damaged := bytes.Clone(file)
	at := len(damaged) / 2
	if damaged[at]++; damaged[at-1] == '\n' || damaged[at] == '\n' {
		damaged[at]++
	}
	if _, _, err := officer.Open(damaged, passphrase); err == nil {
		t.Error("a damaged file opened")
	}
}

func TestWhatIsNoCredentialIsNotSealed(t *testing.T) {
	p, other := pair(t), pair(t)
	if _, err := officer.Seal(p.Certificate, p.Key, "short"); err == nil {
		t.Error("a short passphrase was taken")
	}
	if _, err := officer.Seal(p.Certificate, other.Key, passphrase); err == nil {
		t.Error("another certificate's key was sealed")
	}
	for _, file := range []string{"", "nonsense", strings.Repeat("a", officer.MaxFile+1)} {
		if _, _, err := officer.Open([]byte(file), passphrase); err == nil {
			t.Errorf("%.20q opened", file)
		}
	}
}
