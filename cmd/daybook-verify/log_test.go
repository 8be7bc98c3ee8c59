package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// gapLog writes the directory of a log in which a producer declares a loss.
func gapLog(t *testing.T) string {
	t.Helper()
	g := ledgertest.Create(t, vfs.NewMem(), "log", ledgertest.Options{})
	defer g.Close()
	run, _ := g.Run("first")
	gap, err := proto.Marshal(&daybookv1.Gap{First: 301, Last: 310, Reason: "its disk failed"})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []ledger.Batch{ledgertest.Batch(run, 1, 1, 300),
		{Run: run, Epoch: 1, First: 301, Items: []ledger.Item{{Kind: daybookv1.Kind_KIND_GAP, Body: gap}}}} {
		if _, err := g.L.Append(t.Context(), ledgertest.Producer, b); err != nil {
			t.Fatal(err)
		}
	}
	tiles, err := ledgertest.Tiles(g.L)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.CopyFS(dir, tiles); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestALogWithDeclaredGaps(t *testing.T) {
	dir := gapLog(t)
	verdict := func(args ...string) (int, result) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"log", "--json", dir}, args...), &stdout, &stderr)
		var r result
		if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s%s", err, stdout.String(), stderr.String())
		}
		return code, r
	}
	if code, r := verdict("--key", ledgertest.VKey); code != exitGaps || r.Verdict != withGaps || r.FirstBadIndex != nil {
		t.Errorf("exit %d, %+v", code, r)
	}
	if code, r := verdict(); code != exitSelfConsistent || r.Verdict != selfConsistent {
		t.Errorf("without a key: exit %d, %+v", code, r)
	}
	path := filepath.Join(dir, "tile", "entries", "000")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, r := verdict("--key", ledgertest.VKey); code != exitFailed || r.Verdict != failed || r.FirstBadIndex == nil || *r.FirstBadIndex != 255 {
		t.Errorf("altered: exit %d, %+v", code, r)
	}
}
