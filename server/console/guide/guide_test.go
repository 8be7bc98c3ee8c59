package guide_test

import (
	"os"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/server/console/guide"
)

// TestPages: every file beside this one is a page, as it stands.
func TestPages(t *testing.T) {
	pages, err := guide.Pages()
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".md") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil || n >= len(pages) {
			t.Fatalf("%s: no page %d, %v", f.Name(), n, err)
		}
		p := pages[n]
		if n++; p.Name+".md" != f.Name() || p.Text != string(text) || !strings.HasPrefix(p.Text, "# "+p.Title+"\n") {
			t.Errorf("page %d is %s, titled %q, in place of %s", n-1, p.Name, p.Title, f.Name())
		}
	}
	if n == 0 || n != len(pages) {
		t.Errorf("%d files, and %d pages", n, len(pages))
	}
}
