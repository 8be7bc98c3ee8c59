package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

var receiptsVerb = verb{
	name: "receipts",
	args: "DIR --policy FILE [--bundle CASE.zip]... [--json]",
	does: "check every receipt in a folder",
	help: `Checks every *.tlog-proof in DIR, each with its .entry beside it, as "receipt"
does, and that no two of their checkpoints contradict each other. All are checked,
whatever fails; the first bad file is named. A folder without receipts is an error:
there was nothing to verify.

With --bundle, an examination file, or all parts of one, is checked too and held
against the receipts: an entry that a receipt proves and the file's question asks for
must be in it, byte for byte. One that is missing or different proves that the log was
thinned out or rewritten after the receipt was given.

Examples:
  daybook-verify receipts receipts --policy policy.txt
  daybook-verify receipts --policy policy.txt --json receipts
  daybook-verify receipts receipts --policy policy.txt --bundle CASE.zip
`,
	run:   runReceipts,
	cases: true,
}

func runReceipts(c *call) (*result, error) {
	if err := c.want("folder"); err != nil {
		return nil, err
	}
	policy, err := c.readPolicy()
	if err != nil {
		return nil, err
	}
	names, err := receiptNames(c.args[0])
	if err != nil {
		return nil, err
	}
	t := checkAll(policy, c.args[0], names, len(c.cases) > 0)
	r := &result{}
	r.tallyClaims(t, policy)
	switch {
	case t.bad != nil:
		r.fail(fmt.Errorf("%d of %d receipts failed, the first %s: %w", t.failed, len(names), t.bad.name, t.bad.err))
		r.FirstBadIndex = t.bad.index
	case t.fork != nil:
		r.fail(t.fork)
	case t.newest != nil:
		r.fail(fmt.Errorf("%d of %d receipts are of a later format, the first %s: %w", t.newer, len(names), t.newest.name, t.newest.err))
		r.FirstBadIndex = t.newest.index
	default:
		r.pass(policy)
		if len(c.cases) > 0 {
			return r, r.reconcile(c, policy, t.kept)
		}
	}
	return r, nil
}

// reconcile holds receipts that verified against an examination file.
func (r *result) reconcile(c *call, policy *verify.Policy, kept []bundle.Receipted) error {
	slices.SortFunc(kept, func(a, b bundle.Receipted) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), strings.Compare(a.Name, b.Name))
	})
	found, err := checkBundles(c.cases, bundle.Trust{Policy: policy, Receipts: kept})
	if err != nil {
		return err
	}
	r.bundleClaims(found, policy)
	r.bundleVerdict(found)
	if n := found.Reconciled; n != nil && len(n.Wrong) > 0 {
		r.Advice = "keep receipts and file as they are: together they are the proof"
		if policy == nil {
			r.Advice = "no signature was checked, and anybody can make a receipt: give --policy FILE before you rely on this"
		}
	}
	return nil
}

// receiptNames lists the receipts of a folder, without their suffix: shorter
// names first, so that numbers are in their order.
func receiptNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if instead := misplaced(dir); instead != "" {
			return nil, usagef("%s", instead)
		}
		return nil, usagef("%v", err)
	}
	var names []string
	for _, e := range entries {
		if base, ok := strings.CutSuffix(e.Name(), proofSuffix); ok {
			names = append(names, base)
		}
	}
	if len(names) == 0 {
		if instead := misplaced(dir); instead != "" {
			return nil, usagef("%s", instead)
		}
		return nil, usagef("no *%s in %s: nothing to verify", proofSuffix, dir)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	return names, nil
}

// tally is what the check of many receipts found.
type tally struct {
	verified, failed, newer int
	lowest, highest         uint64 // indexes of the verified ones
	logs                    map[string]*seenLog
	fork                    error
	kept                    []bundle.Receipted // the verified ones, where they are asked for
	bad, newest             *fault             // the first that failed, and the first of a later format
}

// seenLog is what the verified receipts of one log were under.
type seenLog struct {
	receipts int
	roots    map[uint64]verify.Hash // by size
}

// fault is one receipt that did not verify.
type fault struct {
	at    int // place in the list
	name  string
	index *uint64
	err   error
}

// workersPerCore is how many workers share a core: while one waits for its disk
// another one checks.
const workersPerCore = 4

// checkAll checks all receipts, on all cores, each worker a stretch of
// neighbours, which share most of their proofs.
func checkAll(policy *verify.Policy, dir string, names []string, keep bool) *tally {
	workers := min(runtime.GOMAXPROCS(0)*workersPerCore, len(names))
	tallies := make([]*tally, workers)
	var wg sync.WaitGroup
	for w := range workers {
		lo, hi := w*len(names)/workers, (w+1)*len(names)/workers
		wg.Go(func() { tallies[w] = checkStretch(policy, dir, names[lo:hi], lo, keep) })
	}
	wg.Wait()
	for _, other := range tallies[1:] {
		tallies[0].add(other)
	}
	return tallies[0]
}

func checkStretch(policy *verify.Policy, dir string, names []string, first int, keep bool) *tally {
	t := &tally{logs: map[string]*seenLog{}}
	checker := verify.ReceiptChecker{Policy: policy}
	var receipt, entry []byte
	for i, name := range names {
		base := filepath.Join(dir, name)
		var claims verify.ReceiptClaims
		var err error
		receipt, err = readInto(receipt[:0], base+proofSuffix)
		if err == nil {
			if entry, err = readInto(entry[:0], base+entrySuffix); err == nil {
				claims, err = checker.Check(receipt, entry)
			}
		}
		if err == nil {
			t.passed(claims)
			if keep {
				t.keep(name, claims, entry)
			}
			continue
		}
		f := &fault{at: first + i, name: base + proofSuffix, err: err}
		if receipt != nil {
			f.index = indexOf(receipt)
		}
		t.faulty(f)
	}
	return t
}

// keep keeps a verified receipt.
func (t *tally) keep(name string, c verify.ReceiptClaims, entry []byte) {
	e, err := verify.ParseEntry(bytes.Clone(entry))
	if err != nil {
		return // cannot happen: it was parsed before
	}
	t.kept = append(t.kept, bundle.Receipted{Name: name, Index: c.Index, Leaf: c.Leaf, Entry: e,
		Checkpoint: verify.Checkpoint{Origin: c.Origin, Size: c.Size, Root: c.Root}})
}

func (t *tally) passed(c verify.ReceiptClaims) {
	if t.verified == 0 || c.Index < t.lowest {
		t.lowest = c.Index
	}
	t.highest = max(t.highest, c.Index)
	t.verified++
	t.saw(c.Origin, c.Size, c.Root, 1)
}

// saw notes a verified checkpoint; another root at a known size is a fork.
func (t *tally) saw(origin string, size uint64, root verify.Hash, receipts int) {
	l := t.logs[origin]
	if l == nil {
		l = &seenLog{roots: map[uint64]verify.Hash{}}
		t.logs[origin] = l
	}
	l.receipts += receipts
	if known, ok := l.roots[size]; ok && known != root && t.fork == nil {
		t.fork = fmt.Errorf("FORK: two roots of log %q at size %d among these receipts: it showed two histories", origin, size)
	}
	l.roots[size] = root
}

func (t *tally) faulty(f *fault) {
	if errors.Is(f.err, verify.ErrNewer) {
		t.newer++
		t.newest = earlier(t.newest, f)
		return
	}
	t.failed++
	t.bad = earlier(t.bad, f)
}

func earlier(a, b *fault) *fault {
	if a == nil || b != nil && b.at < a.at {
		return b
	}
	return a
}

// add takes in what another worker found.
func (t *tally) add(o *tally) {
	if o.verified > 0 {
		if t.verified == 0 || o.lowest < t.lowest {
			t.lowest = o.lowest
		}
		t.highest = max(t.highest, o.highest)
	}
	t.kept = append(t.kept, o.kept...)
	t.verified += o.verified
	t.failed += o.failed
	t.newer += o.newer
	t.bad, t.newest = earlier(t.bad, o.bad), earlier(t.newest, o.newest)
	if t.fork == nil {
		t.fork = o.fork
	}
	for origin, l := range o.logs {
		for size, root := range l.roots {
			t.saw(origin, size, root, 0)
		}
		t.logs[origin].receipts += l.receipts
	}
}

// tallyClaims says what was proved of the folder.
func (r *result) tallyClaims(t *tally, policy *verify.Policy) {
	counts := map[string]any{"verified": t.verified, "failed": t.failed, "newer": t.newer}
	text := fmt.Sprintf("%d receipts verified", t.verified)
	if policy == nil {
		text = fmt.Sprintf("%d receipts are consistent in themselves (signatures were NOT checked)", t.verified)
	}
	if t.verified > 0 {
		counts["lowest_index"], counts["highest_index"] = t.lowest, t.highest
		text += fmt.Sprintf(", entries %d to %d", t.lowest, t.highest)
	}
	if t.failed > 0 || t.newer > 0 {
		text += fmt.Sprintf("; %d failed, %d of a later format", t.failed, t.newer)
	}
	r.claim("receipts", counts, "%s", text)
	for _, origin := range sortedKeys(t.logs) {
		l := t.logs[origin]
		sizes := sortedKeys(l.roots)
		largest := sizes[len(sizes)-1]
		r.claim("checkpoint", map[string]any{"origin": origin, "receipts": l.receipts, "checkpoints": len(sizes), "largest_size": largest},
			"log %s: %d receipts under %d checkpoints, the largest at size %d", plain(origin), l.receipts, len(sizes), largest)
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
