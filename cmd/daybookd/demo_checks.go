package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// A demoCheck shows one promise of the log being kept. The text says what was
// seen; the error, that the promise was broken.
type demoCheck struct {
	promise string
	keep    func(ctx context.Context) (seen string, err error)
}

// examiner is somebody who holds the log's verifier key, and checks the rest.
type examiner struct {
	client *client.Client
	policy *verify.Policy
	// receipts is the folder of receipt files.
	receipts string
	// index is the entry whose receipt is taken.
	index uint64
	// older is a checkpoint that was seen while the log was smaller; where it
	// has not grown since, consistency takes that of size 1.
	older verify.Checkpoint
	// newer is the newest checkpoint, and leaves are the leaf hashes of all its
	// entries; set by everyEntry.
	newer   verify.Checkpoint
	entries [][]byte
	leaves  []verify.Hash
}

// checks are what the demo shows, in order: later ones use what earlier ones
// fetched.
func (x *examiner) checks() []demoCheck {
	return []demoCheck{
		{"the same file again adds nothing", x.again},
		{"a receipt verifies from two files, without the log", x.receipt},
		{"one flipped byte is caught and named", x.flippedByte},
		{"every entry is there: they hash to the signed root", x.everyEntry},
		{"an entry left out is caught and named", x.leftOut},
		{"an entry left out of a range is caught", x.leftOutOfRange},
		{"the log grew from what was seen before", x.consistency},
		{"an examination file answers a question, checked without the log", x.export},
		{"a flipped byte of that file is caught", x.flippedFile},
	}
}

// again imports a sample once more.
func (x *examiner) again(ctx context.Context) (string, error) {
	summary, err := new(demoImport).importSample(ctx, x.client, "xroad")
	if err != nil {
		return "", err
	}
	if summary.Accepted != 0 || summary.Duplicates == 0 {
		return "", fmt.Errorf("%d entries were added, %d were there", summary.Accepted, summary.Duplicates)
	}
	return fmt.Sprintf("xroad: 0 new, %d there before, each proven by the receipt of its first place", summary.Duplicates), nil
}

// paths returns the receipt files of the entry.
func (x *examiner) paths() (proof, entry string) {
	base := filepath.Join(x.receipts, strconv.FormatUint(x.index, 10))
	return base + ".tlog-proof", base + ".entry"
}

// readReceipt reads the receipt files back.
func (x *examiner) readReceipt() (proof, entry []byte, err error) {
	proofPath, entryPath := x.paths()
	if proof, err = os.ReadFile(proofPath); err != nil {
		return nil, nil, err
	}
	entry, err = os.ReadFile(entryPath)
	return proof, entry, err
}

// receipt takes a receipt to files and checks the files.
func (x *examiner) receipt(ctx context.Context) (string, error) {
	files, err := x.client.Receipts(ctx, x.index)
	if err != nil {
		return "", err
	}
	if err := client.WriteReceipt(x.receipts, x.index, files[0].Proof, files[0].Entry); err != nil {
		return "", err
	}
	proof, entry, err := x.readReceipt()
	if err != nil {
		return "", err
	}
	if _, err := verify.CheckReceipt(x.policy, proof, entry); err != nil {
		return "", err
	}
	return fmt.Sprintf("entry %d, in %d + %d bytes", x.index, len(entry), len(proof)), nil
}

// flippedByte flips each byte of the entry in turn, and each of the receipt's
// proof: every one must be refused. The last refusal of the entry is shown.
func (x *examiner) flippedByte(context.Context) (string, error) {
	proof, entry, err := x.readReceipt()
	if err != nil {
		return "", err
	}
	var refusal error
	for i := range entry {
		entry[i] ^= 1
		if _, refusal = verify.CheckReceipt(x.policy, proof, entry); refusal == nil {
			return "", fmt.Errorf("byte %d of entry %d was flipped, and its receipt still verifies", i, x.index)
		}
		entry[i] ^= 1
	}
	for i := range proof {
		proof[i] ^= 1
		if _, err := verify.CheckReceipt(x.policy, proof, entry); err == nil {
			return "", fmt.Errorf("byte %d of the receipt was flipped, and it still verifies", i)
		}
		proof[i] ^= 1
	}
	return fmt.Sprintf("all %d tried; the last says: %v", len(entry)+len(proof), refusal), nil
}

// everyEntry fetches every entry and rebuilds the tree.
func (x *examiner) everyEntry(ctx context.Context) (string, error) {
	now, err := x.client.Checkpoint(ctx, 0)
	if err != nil {
		return "", err
	}
	x.newer = now.Checkpoint
	x.entries, x.leaves = nil, nil
	request := &apiv1.ListEntriesRequest{Ascending: true, PageSize: 1000}
	if _, err := x.client.List(ctx, request, 0, func(view *apiv1.EntryView) bool {
		x.entries = append(x.entries, view.Entry)
		x.leaves = append(x.leaves, verify.HashLeaf(view.Entry))
		return uint64(len(x.leaves)) < x.newer.Size
	}); err != nil {
		return "", err
	}
	if uint64(len(x.leaves)) != x.newer.Size {
		return "", fmt.Errorf("the log shows %d entries, its checkpoint says %d", len(x.leaves), x.newer.Size)
	}
	if root := rootOf(x.leaves); root != x.newer.Root {
		return "", fmt.Errorf("the entries hash to %x, the checkpoint says %x", root, x.newer.Root)
	}
	return fmt.Sprintf("%d entries, root %x...", len(x.leaves), x.newer.Root[:6]), nil
}

// rootOf returns the root of the tree with these leaves.
func rootOf(leaves []verify.Hash) verify.Hash {
	var tree verify.Frontier
	for _, leaf := range leaves {
		tree.Append(leaf)
	}
	return tree.Root()
}

// leftOut leaves the entry out, and names it from what is left.
func (x *examiner) leftOut(context.Context) (string, error) {
	if x.index >= uint64(len(x.leaves)) {
		return "", errors.New("not every entry is there")
	}
	leaves := append(append([]verify.Hash{}, x.leaves[:x.index]...), x.leaves[x.index+1:]...)
	entries := append(append([][]byte{}, x.entries[:x.index]...), x.entries[x.index+1:]...)
	if rootOf(leaves) == x.newer.Root {
		return "", fmt.Errorf("without entry %d the root is the same", x.index)
	}
	if gap, err := firstGap(x.entries); gap != "" || err != nil {
		return "", fmt.Errorf("nothing was left out, yet %s is missing (%v)", gap, err)
	}
	gap, err := firstGap(entries)
	if err != nil || gap == "" {
		return "", fmt.Errorf("without entry %d nothing seems to be missing (%v)", x.index, err)
	}
	return "the root differs, and missing is " + gap, nil
}

// firstGap names the first entry that is missing from a list of them, by the
// three counts it stands in: the log's, its pair's and its run's. Empty: none.
func firstGap(entries [][]byte) (string, error) {
	positions := map[verify.StreamKey]uint64{}
	numbers := map[verify.Hash]uint64{}
	missing := ""
	for i, b := range entries {
		e, err := verify.ParseEntry(b)
		if err != nil {
			return "", fmt.Errorf("entry %d: %w", i, err)
		}
		if missing == "" && e.Place.Index != uint64(i) {
			missing = fmt.Sprintf("index %d", i)
		}
		key := verify.StreamKeyOf(&e.Place)
		if want := positions[key]; e.Place.Position != want {
			missing += fmt.Sprintf(", position %d of %s -> %s", want, e.Place.Source, e.Place.Target)
			positions[key] = e.Place.Position
		}
		positions[key]++
		if e.Place.Number == 0 || e.Place.Kind == daybookv1.Kind_KIND_GAP {
			continue
		}
		if last := numbers[e.Head.Run]; e.Place.Number > last+1 {
			missing += fmt.Sprintf(", number %d of its run", last+1)
		}
		numbers[e.Head.Run] = max(numbers[e.Head.Run], e.Place.Number)
	}
	return missing, nil
}

// nodes returns the hash of a complete subtree over the leaves.
func (x *examiner) nodes(level uint, index uint64) (verify.Hash, error) {
	return rootOf(x.leaves[index<<level : (index+1)<<level]), nil
}

// leftOutOfRange shows that a range's proof does not fit what is left of it.
func (x *examiner) leftOutOfRange(context.Context) (string, error) {
	size := uint64(len(x.leaves))
	lo, hi := x.index-min(x.index, 50), min(x.index+50, size)
	if hi < lo+2 {
		return "", errors.New("not every entry is there")
	}
	proof, err := verify.ProveRange(lo, hi, size, x.nodes)
	if err != nil {
		return "", err
	}
	whole := x.leaves[lo:hi]
	if err := verify.CheckRange(lo, size, whole, proof, x.newer.Root); err != nil {
		return "", fmt.Errorf("the whole range: %w", err)
	}
	for i := range whole {
		less := append(append([]verify.Hash{}, whole[:i]...), whole[i+1:]...)
		for _, at := range []uint64{lo, lo + 1} {
			if verify.CheckRange(at, size, less, proof, x.newer.Root) == nil {
				return "", fmt.Errorf("entry %d was left out of the range from %d, and it still verifies", lo+uint64(i), lo)
			}
		}
	}
	return fmt.Sprintf("each of %d in turn, from the range [%d, %d)", len(whole), lo, hi), nil
}

// consistency asks the log to prove that it grew from the older checkpoint, and
// shows that another history of the same size is refused.
func (x *examiner) consistency(ctx context.Context) (string, error) {
	if len(x.leaves) == 0 {
		return "", errors.New("not every entry is there")
	}
	if x.older.Size >= x.newer.Size {
		first, err := x.client.Checkpoint(ctx, 1) // entry 0 is a commit of its own
		if err != nil {
			return "", err
		}
		x.older = first.Checkpoint
	}
	if err := x.client.Prove(ctx); err != nil {
		return "", err
	}
	proof, err := verify.ProveConsistency(x.older.Size, x.newer.Size, x.nodes)
	if err != nil {
		return "", err
	}
	if err := verify.CheckConsistency(x.older.Size, x.newer.Size, x.older.Root, x.newer.Root, proof); err != nil {
		return "", err
	}
	rewritten := append([]verify.Hash{}, x.leaves[:x.older.Size]...)
	rewritten[x.older.Size/2] = verify.HashLeaf([]byte("rewritten"))
	if verify.CheckConsistency(x.older.Size, x.newer.Size, rootOf(rewritten), x.newer.Root, proof) == nil {
		return "", errors.New("a rewritten history is accepted")
	}
	return fmt.Sprintf("size %d is a prefix of size %d; with entry %d rewritten it is not", x.older.Size, x.newer.Size, x.older.Size/2), nil
}

// newExaminer makes one that holds a verifier key only.
func newExaminer(c *client.Client, vkey, receipts string) (*examiner, error) {
	policy, err := verify.KeyPolicy(vkey)
	if err != nil {
		return nil, err
	}
	x := &examiner{client: c, policy: policy, receipts: receipts}
	if x.older, err = policy.OpenCheckpoint(bytes.Clone(c.Newest())); err != nil {
		return nil, err
	}
	return x, nil
}
