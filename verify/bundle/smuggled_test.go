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

// TestNoMemberMore adds a member that a sample does not have, of content that means
// nothing, nothing at all, or what another of its kind has.
func TestNoMemberMore(t *testing.T) {
	w := sampleWorld(t)
	for _, s := range samples {
		members := unzip(t, build(t, w.source(), s.question))
		for _, c := range []struct{ name, like string }{
			{"checkpoints/00000000000000000003.note", "checkpoint"}, {"checkpoints/00000000000000000003.proof", ""}, {"governance.bin", ""},
			{"rows.bin", ""}, {"rows.hashes", "tree.hashes"}, {"streams.bin", ""}, {"entries/000001.bin", ""}, {"entries/000002.bin", "entries/000001.bin"},
			{"entries/000003.bin", ""}, {"log/checkpoint", "checkpoint"}, {"log/tile/0/000", "log/tile/0/000.p/1"}, {"log/tile/5/000.p/1", ""},
			{"tree.hashes", "rows.hashes"}, {"numbers.bin", "tree.hashes"}, {"maps/00000000000000000001.yaml", ""},
			{"data/accesses-002.csv", "data/accesses-001.csv"}, {"data/accesses-002.jsonl", "data/accesses-001.jsonl"},
		} {
			if members[c.name] != nil {
				continue
			}
			for _, content := range [][]byte{{0}, {0, 0}, make([]byte, 32), []byte("\n"), members[c.like], {}} {
				members[c.name] = content
				if r := check(t, w.trust(), mustPack(t, members)); r.Verdict != bundle.Failed {
					t.Errorf("%s with %d bytes of %s: %s", s.name, len(content), c.name, r.Verdict)
				}
			}
			delete(members, c.name)
		}
	}
}
