package page_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestUnderNode runs the tests of the page's modules, which know no page, with
// node: conformance kits, vectors, sample bundles.
func TestUnderNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED: no node on this machine: the page's JavaScript is not tested here, only in a browser (-tags e2e)")
	}
	files, err := filepath.Glob("testdata/*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatal("no tests: ", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, node, f).CombinedOutput()
			if err != nil {
				t.Errorf("%v:\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
