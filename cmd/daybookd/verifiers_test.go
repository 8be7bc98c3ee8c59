package main

import (
	"os"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify/page"
)

// TestVerifierFiles: what is no verifier, or was not built as one is released, has
// no command beside it, but a caution. That a released one has the right command the
// end-to-end test of the card shows.
func TestVerifierFiles(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	list, err := verifierFiles([]string{self, "verifiers.go"})
	if err != nil {
		t.Fatal(err)
	}
	if p := list[0]; p.SHA256 != sumVerifier("", page.HTML()).SHA256 || p.Made == "" || p.Caution != "" {
		t.Errorf("the page: %+v", p)
	}
	for _, v := range list[1:] {
		if v.Made != "" || !strings.Contains(v.Caution, "no daybook-verify") {
			t.Errorf("%s: %+v", v.Name, v)
		}
	}
	for text, want := range map[string]bool{
		`x Go build ID: "abc" y`: true, `x Go build ID: "" y`: false, `x Go build ID: "`: false, "": false,
	} {
		if linked([]byte(text), `Go build ID: "`) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
	if got := wrapped("why: GOTOOLCHAIN=go1 X= go build -a ./cmd/daybook-verify"); got !=
		"why:\n            GOTOOLCHAIN=go1 X= \\\n            go build -a \\\n            ./cmd/daybook-verify" {
		t.Errorf("%q", got)
	}
}
