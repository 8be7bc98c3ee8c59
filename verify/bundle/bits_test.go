package bundle_test

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// smallBase is a bundle of less than 64 KiB that has each kind of member.
func smallBase(t testing.TB) *base {
	w := newWorld(t, start, "witness.example/a")
	web := w.run("spiffe://web/gateway", "1", daybookv1.Provenance_PROVENANCE_FIRST_HAND)
	w.propose(firstMap, "spiffe://people.example/alice", "spiffe://people.example/cco")
	for _, target := range []string{"prod-db", "test-db", "prod-db"} {
		w.now += int64(time.Minute)
		w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", target))
	}
	for _, target := range []string{"web", "desk", "prod-db", "test-db"} {
		w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("desk", target))
	}
	w.heartbeat(web)
	w.now = start.Add(15 * time.Hour).UnixNano()
	w.closeAt(w.now)
	w.archive()
	w.append(web, daybookv1.Kind_KIND_ACCESS, w.event("web", "prod-db"))
	w.now += verify.Day
	w.closeAt(w.now)
	w.archive()
	b := newBase(t, "small", w, nil, "from: web\nto: prod-db\nperiod: 2026-05-17\nzone: America/New_York\n")
	earlier := fmt.Sprintf("checkpoints/%020d.proof", w.notes[0].size)
	for _, name := range []string{"rows.hashes", "tree.hashes", "streams.bin", "numbers.bin", earlier} {
		if len(b.forge.files[name]) == 0 {
			t.Errorf("it has no %s", name)
		}
	}
	if len(b.file) >= 64<<10 {
		t.Fatalf("it has %d bytes", len(b.file))
	}
	return b
}

// spread calls do for 0 to n-1 from several goroutines.
func spread(n int, do func(int)) {
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for k := range workers {
		group.Go(func() {
			for i := k; i < n; i += workers {
				do(i)
			}
		})
	}
	group.Wait()
}

// bitFlip is the forgery that flips one bit of the file.
func bitFlip(b *base, at, bit int) forgery {
	file := slices.Clone(b.file)
	file[at] ^= 1 << bit
	return forgery{name: fmt.Sprintf("bits/%s/%06d.%d", b.name, at, bit), base: b.name, file: file, policy: b.w.policy(), exit: failedOrNewer}
}

// contentBytes marks the bytes of the file that are content of members.
func contentBytes(t testing.TB, file []byte) []bool {
	contents, err := bundle.OpenZip(file)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]bool, len(file))
	for _, c := range contents {
		for at := c[0]; at < c[1]; at++ {
			content[at] = true
		}
	}
	return content
}

// flips are the bits that TestBits flips: of each byte one, of headers all; where
// that is not exhaustive, one of headers too, and of what is derived of each eighth
// byte.
func flips(t testing.TB, b *base) (out [][2]int) {
	content := contentBytes(t, b.file)
	derived := bytes.Index(b.file, []byte("maps/"))
	for at := range b.file {
		for bit := range 8 {
			if bit != at%8 && (content[at] || !exhaustive) || !exhaustive && content[at] && at > derived && at%64 != bit {
				continue
			}
			out = append(out, [2]int{at, bit})
		}
	}
	return out
}

// TestBits flips bits of a file, headers included.
func TestBits(t *testing.T) {
	b := smallBase(t)
	list := flips(t, b)
	spread(len(list), func(i int) {
		c := bitFlip(b, list[i][0], list[i][1])
		c.judge(t)
	})
	t.Logf("%d bits of %d bytes", len(list), len(b.file))
}

// TestBitsRepaired flips bits of what is not derived, and repairs hashes, headers
// and all that is derived. A question in which a bit differs is another one: its
// file passes where it is the honest answer.
func TestBitsRepaired(t *testing.T) {
	b := smallBase(t)
	type place struct {
		name    string
		at, bit int
	}
	var places []place
	step := 1
	if !exhaustive {
		step = 29
	}
	for _, name := range slices.Sorted(maps.Keys(b.forge.files)) {
		if bundle.IsDerived(name) {
			continue
		}
		for at := 0; at < len(b.forge.files[name]); at += step {
			places = append(places, place{name, at, (at/step + len(places)) % 8})
		}
	}
	spread(len(places), func(i int) {
		p := places[i]
		f := b.forge.clone()
		f.files[p.name][p.at] ^= 1 << p.bit
		c := forgery{name: fmt.Sprintf("%s, byte %d, bit %d", p.name, p.at, p.bit), file: f.pack(), policy: b.w.policy()}
		r := c.check(t)
		if r.Verdict != bundle.Failed && r.Verdict != bundle.Newer && (bytes.Equal(c.file, b.file) || !harmless(t, b, c.file)) {
			t.Errorf("%s: %s", c.name, r.Verdict)
		}
	})
}
