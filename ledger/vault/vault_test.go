package vault_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-ledger/daybook/ledger/vault"
)

func TestSealOpenDestroy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "seal-keys")
	v := vault.Open(dir)
	sealed, err := v.Seal("trading", "2026-11", []byte("Alice"), []byte("entry 7"))
	if err != nil {
		t.Fatal(err)
	}
	for _, again := range []*vault.Vault{v, vault.Open(dir)} {
		plain, err := again.Open("trading", "2026-11", sealed, []byte("entry 7"))
		if err != nil || string(plain) != "Alice" {
			t.Fatalf("opened %q, %v", plain, err)
		}
	}
	if _, err := v.Open("trading", "2026-11", sealed, []byte("entry 8")); err == nil {
		t.Error("opened under another context")
	}
	if _, err := v.Open("trading", "2026-12", sealed, []byte("entry 7")); !errors.Is(err, vault.ErrDestroyed) {
		t.Errorf("another month: %v", err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Fatalf("%d key files, %v", len(names), err)
	}
	if err := os.Remove(filepath.Join(dir, names[0].Name())); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Open("trading", "2026-11", sealed, []byte("entry 7")); !errors.Is(err, vault.ErrDestroyed) {
		t.Errorf("after the key was destroyed: %v", err)
	}
}
