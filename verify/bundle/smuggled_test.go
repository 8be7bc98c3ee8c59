package bundle_test

import (
	"slices"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// TestNothingIsSmuggled puts an item of no length, and what nobody reads behind it,
// at the end of the files of entries, of no entry, of one and of more.
func TestNothingIsSmuggled(t *testing.T) {
	w := newWorld(t, start)
	web := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	for _, target := range []string{"one", "two", "two"} {
		w.now += int64(time.Minute)
		w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", target))
	}
	w.closeAt(w.now)
	w.archive()
	for _, text := range []string{"from: nowhere\n", "streams: ['access,web,one,source']\n", "streams: ['access,web,two,source']\n"} {
		members := unzip(t, build(t, w.source(), text))
		if r := check(t, w.trust(), mustPack(t, members)); r.Verdict != bundle.Verified {
			t.Fatalf("%q: %s: %s", text, r.Verdict, r.Reason)
		}
		for _, name := range []string{"governance.bin", "entries/000001.bin", "entries/000002.bin"} {
			old := members[name]
			for _, more := range [][]byte{{0, 0}, []byte("\x00\x00what nobody reads"), []byte("\x00\x00\x00\x01x")} {
				members[name] = slices.Concat(old, more)
				if r := check(t, w.trust(), mustPack(t, members)); r.Verdict != bundle.Failed || r.Fault == nil || r.Fault.Member != name {
					t.Errorf("%q: %d bytes of entries in %s, then %q: %s: %s", text, len(old), name, more, r.Verdict, r.Reason)
				}
			}
			if members[name] = old; old == nil {
				delete(members, name)
			}
		}
	}
}

func mustPack(t testing.TB, members map[string][]byte) []byte {
	t.Helper()
	b, err := bundle.Pack(worldOrigin, members)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
