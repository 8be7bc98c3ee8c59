package bundle_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/verify/bundle"
)

// TestPack: what a bundle's members pack to is the bundle.
func TestPack(t *testing.T) {
	for _, s := range samples {
		b := build(t, sampleWorld(t).source(), s.question)
		again, err := bundle.Pack(worldOrigin, unzip(t, b))
		if err != nil || !bytes.Equal(b, again) {
			t.Errorf("%s: packed anew it has %d bytes, not %d: %v", s.name, len(again), len(b), err)
		}
	}
}

// FuzzManifest: what is taken has one encoding.
func FuzzManifest(f *testing.F) {
	f.Add(unzip(f, build(f, sampleWorld(f).source(), "period: 2027\n"))["manifest.json"])
	f.Add([]byte("{\n  \"format\": \"daybook-bundle/v2\"\n}\n"))
	f.Fuzz(func(t *testing.T, document []byte) {
		if got, err := bundle.FormatManifest(document); err == nil && !bytes.Equal(got, document) {
			t.Errorf("formats as %q", got)
		}
	})
}

// FuzzAnswer: what is taken has one encoding.
func FuzzAnswer(f *testing.F) {
	w := sampleWorld(f)
	for _, text := range []string{"period: 2027\n", "from: web\n", "log: true\n", "range: {first: 1, end: 9}\n"} {
		f.Add(unzip(f, build(f, w.source(), text))["answer.json"], text)
	}
	f.Fuzz(func(t *testing.T, document []byte, text string) {
		q := mustRead(t, "from: web\n")
		for _, s := range []string{"log: true\n", "range: {first: 1, end: 9}\n"} {
			if text == s {
				q = mustRead(t, s)
			}
		}
		if got, err := bundle.FormatAnswer(document, q); err == nil && !bytes.Equal(got, document) {
			t.Errorf("formats as %q", got)
		}
	})
}

// FuzzMember changes bytes of one member, and writes a zip and a manifest that go
// with it: no change passes.
func FuzzMember(f *testing.F) {
	w := sampleWorld(f)
	var worlds []map[string][]byte
	for _, s := range samples {
		worlds = append(worlds, unzip(f, build(f, w.source(), s.question)))
	}
	for i := range uint(24) {
		f.Add(i, i*7, uint(40+i), []byte{byte(i)}, uint(i%3))
	}
	f.Fuzz(func(t *testing.T, sample, member, at uint, put []byte, cut uint) {
		members := worlds[sample%uint(len(worlds))]
		var names []string
		for name := range members {
			names = append(names, name)
		}
		slices.Sort(names)
		name := names[member%uint(len(names))]
		old := members[name]
		from := at % uint(len(old)+1)
		changed := slices.Concat(old[:from], put, old[min(from+cut%64, uint(len(old))):])
		if bytes.Equal(changed, old) || name == "manifest.json" {
			return
		}
		if name == "policy.txt" || strings.HasSuffix(name, "checkpoint") || strings.HasSuffix(name, ".note") {
			return // a comment, or a signature of a stranger, says nothing that is claimed
		}
		forged := map[string][]byte{}
		for n, content := range members {
			forged[n] = content
		}
		if forged[name] = changed; len(changed) == 0 {
			delete(forged, name)
		}
		b, err := bundle.Pack(worldOrigin, forged)
		if err != nil {
			t.Fatal(err)
		}
		if r := check(t, w.trust(), b); r.Verdict != bundle.Failed && r.Verdict != bundle.Newer {
			t.Errorf("%s with %d bytes for %d at %d: %s", name, len(put), cut%64, from, r.Verdict)
		}
	})
}
