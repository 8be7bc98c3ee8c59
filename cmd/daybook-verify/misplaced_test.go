package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMisplaced gives each verb what another one takes.
func TestMisplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [b]*")
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("data/log.vkey", "x")
	write("data/store/marker.manifest.000001.MANIFEST-000001", "")
	write("copy/checkpoint", "x")
	write("copy/tile/0/000.p/1", "x")
	write("kept/1.tlog-proof", "x")
	write("cases/1.zip", "x")
	write("empty/notes", "x")
	at := func(name string) string { return filepath.Join(dir, name) }
	zip, age := write("case.zip", zipMark+"x"), write("case.zip.age", "age-encryption.org/v1\nx")
	fsck := "daybookd fsck --data " + at("data") + ","
	for _, c := range []struct{ verb, arg, want string }{
		{"log", at("data"), fsck},
		{"log", at("data"), "daybookd mirror --from"},
		{"log", at("data/store"), fsck},
		{"log", zip, "daybook-verify bundle --policy FILE " + zip},
		{"log", age, "daybook-verify bundle"},
		{"log", at("kept"), "daybook-verify receipts"},
		{"log", at("kept/1.tlog-proof"), "daybook-verify receipt --policy"},
		{"log", at("cases"), "CASE.zip"},
		{"log", at("empty/notes"), "no folder with a log"},
		{"bundle", at("copy"), "daybook-verify log --policy FILE " + at("copy")},
		{"bundle", at("data"), fsck},
		{"bundle", at("kept"), "daybook-verify receipts"},
		{"bundle", at("cases"), "name the files"},
		{"bundle", at("empty"), "is a folder"},
		{"bundle", at("kept/1.tlog-proof"), "daybook-verify receipt --policy"},
		{"receipts", at("copy"), "daybook-verify log"},
		{"receipts", at("data"), fsck},
		{"receipts", at("cases"), "daybook-verify bundle"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{c.verb, c.arg}, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s %s: exit %d, %s%s", c.verb, c.arg, code, stdout.String(), stderr.String())
		}
	}
	// A folder without anything of these is checked as a log, and fails.
	var stdout, stderr bytes.Buffer
	if code := run([]string{"log", at("empty")}, &stdout, &stderr); code != exitFailed || !strings.Contains(stdout.String(), "checkpoint: missing") {
		t.Errorf("exit %d, %s%s", code, stdout.String(), stderr.String())
	}
}
