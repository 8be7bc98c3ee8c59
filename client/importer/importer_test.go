package importer_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/importer"
	"github.com/daybook-ledger/daybook/client/mapping"
	"github.com/daybook-ledger/daybook/client/mapping/sample"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// file makes a file of JSON lines.
func file(t *testing.T, format, text string) *importer.File {
	t.Helper()
	m, err := mapping.Find(format)
	check(t, err)
	f, err := importer.New("test.jsonl", strings.NewReader(text), m)
	check(t, err)
	return f
}

// lines are nine LANL records, of which two are no events.
const lines = `{"time":1,"src_user":"U1@DOM1","dst_user":"U1@DOM2","src_computer":"C1","dst_computer":"C2","orientation":"LogOn","outcome":"Success"}
{"time":2,"src_user":"U1@DOM1","dst_user":"U1@DOM2","src_computer":"C1","dst_computer":"C2","orientation":"LogOn","outcome":"Fail"}
not json

{"time":3,"src_user":"U1@DOM1","dst_user":"U1@DOM1","src_computer":"C1","dst_computer":"C2","orientation":"LogOn","outcome":"Success"}
{"time":0,"src_user":"U1@DOM1","dst_user":"U1@DOM1","src_computer":"C1","dst_computer":"C2","orientation":"LogOn","outcome":"Success"}
{"time":4,"src_user":"U1@DOM1","dst_user":"U1@DOM3","src_computer":"C1","dst_computer":"C2","orientation":"LogOn","outcome":"Success"}
{"time":5,"src_user":"U1@DOM1","dst_user":"U1@DOM2","src_computer":"C1","dst_computer":"C2","orientation":"LogOn","outcome":"Success"}
{"time":6,"src_user":"U1@DOM1","dst_user":"U1@DOM2","src_computer":"C1","dst_computer":"C2","orientation":"LogOn","outcome":"Success"}
{"time":7,"src_user":"U1@DOM1","dst_user":"U1@DOM2","src_computer":"C1","dst_computer":"C2","orientation":"LogOn","outcome":"Success"}
`

// want is the summary of lines, the first time.
func want() *importer.Summary {
	return &importer.Summary{
		Accepted: 7, Skipped: 2,
		Pairs:    []importer.Pair{{Source: "dom1", Target: "dom2", Entries: 5, Denied: 1}, {Source: "dom1", Target: "dom1", Entries: 1}, {Source: "dom1", Target: "dom3", Entries: 1}},
		Verdicts: []importer.Verdict{{Verdict: "undeclared", Entries: 5}, {Verdict: "denied", Entries: 1}, {Verdict: "internal", Entries: 1}},
		Reasons: []importer.Reason{
			{Code: mapping.BadValue, Field: "time", Records: 1, First: 5, Example: `bad-value time: "0" is not a count of seconds from 1`},
			{Code: mapping.NotJSON, Records: 1, First: 3, Example: "not-json: invalid character 'o' in literal null (expecting 'u')"},
		},
	}
}

var exported = cmpopts.IgnoreUnexported(importer.Summary{})

// TestImportTwice imports a file, and again under another name and packed: the
// second time adds nothing, and proves that all is there.
func TestImportTwice(t *testing.T) {
	c := startLog(t).dial(t)
	var indexes []uint64
	options := importer.Options{Batch: 2, OnReceipt: func(r *client.Receipt) error {
		for i := range r.Len() {
			indexes = append(indexes, r.Index(i))
		}
		return nil
	}}
	got, err := importer.Run(t.Context(), c, file(t, "lanl-auth", lines), options)
	check(t, err)
	if diff := cmp.Diff(want(), got, exported); diff != "" {
		t.Errorf("first import (-want +got):\n%s", diff)
	}
	first := indexes
	before, err := c.Checkpoint(t.Context(), 0)
	check(t, err)

	indexes = nil
	got, err = importer.Run(t.Context(), c, file(t, "lanl-auth", lines), options)
	check(t, err)
	again := want()
	again.Accepted, again.Duplicates = 0, again.Accepted
	if diff := cmp.Diff(again, got, exported); diff != "" {
		t.Errorf("second import (-want +got):\n%s", diff)
	}
	// The first time the end of the run has a receipt, too.
	if diff := cmp.Diff(first[:len(first)-1], indexes); diff != "" {
		t.Errorf("the second import has other receipts (-first +second):\n%s", diff)
	}
	after, err := c.Checkpoint(t.Context(), 0)
	check(t, err)
	if before.Size != after.Size {
		t.Errorf("the log grew from %d to %d", before.Size, after.Size)
	}
}

// TestDeclined reads back what stands under the number of a skipped record.
func TestDeclined(t *testing.T) {
	c := startLog(t).dial(t)
	var declined []byte
	_, err := importer.Run(t.Context(), c, file(t, "lanl-auth", lines), importer.Options{OnReceipt: func(r *client.Receipt) error {
		for i := range r.Len() {
			if r.Kind(i) == daybookv1.Kind_KIND_DECLINED && declined == nil {
				declined = r.Entry(i)
			}
		}
		return nil
	}})
	check(t, err)
	e, err := verify.ParseEntry(declined)
	check(t, err)
	if e.Place.Number != 3 || e.Head.Provenance != daybookv1.Provenance_PROVENANCE_BACKFILL {
		t.Errorf("declined entry has number %d and provenance %s", e.Place.Number, e.Head.Provenance)
	}
	for _, part := range []string{"not-json", "lanl-auth/1"} {
		if !bytes.Contains(e.Body, []byte(part)) {
			t.Errorf("declined entry does not hold %q", part)
		}
	}
}

// TestResume stops an import after each number of batches, and imports the file
// again: all is there once.
func TestResume(t *testing.T) {
	for stop := 1; stop <= 4; stop++ {
		c := startLog(t).dial(t)
		ctx, cancel := context.WithCancel(t.Context())
		batches := 0
		partly, err := importer.Run(ctx, c, file(t, "lanl-auth", lines), importer.Options{Batch: 2, OnReceipt: func(r *client.Receipt) error {
			if r.Number(0) != 0 {
				batches++
			}
			if batches == stop {
				cancel()
			}
			return nil
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped after %d batches: error is %v", stop, err)
		}
		got, err := importer.Run(t.Context(), c, file(t, "lanl-auth", lines), importer.Options{Batch: 3})
		check(t, err)
		if got.Accepted+got.Duplicates != 7 || got.Skipped != 2 || got.Duplicates < partly.Accepted {
			t.Errorf("stopped after %d batches with %d accepted: then %d accepted, %d duplicates, %d skipped",
				stop, partly.Accepted, got.Accepted, got.Duplicates, got.Skipped)
		}
		if diff := cmp.Diff(want().Pairs, got.Pairs); diff != "" {
			t.Errorf("stopped after %d batches (-want +got):\n%s", stop, diff)
		}
	}
}

// TestSamples imports every sample, and reads one receipt of each from files.
func TestSamples(t *testing.T) {
	l := startLog(t)
	c := l.dial(t)
	policy, err := verify.KeyPolicy(l.vkey)
	check(t, err)
	for _, name := range mapping.Names() {
		m, err := mapping.Find(name)
		check(t, err)
		fileName, packed, err := sample.File(name)
		check(t, err)
		f, err := importer.New(fileName, bytes.NewReader(packed), m)
		check(t, err)
		dir := t.TempDir()
		var last uint64
		got, err := importer.Run(t.Context(), c, f, importer.Options{OnReceipt: func(r *client.Receipt) error {
			last = r.Index(r.Len() / 2)
			proof, entry, err := r.Files(r.Len() / 2)
			if err != nil {
				return err
			}
			return client.WriteReceipt(dir, last, proof, entry)
		}})
		check(t, err)
		if got.Accepted != f.Records || got.Skipped != 0 {
			t.Errorf("%s: %d of %d records accepted, %d skipped", name, got.Accepted, f.Records, got.Skipped)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.tlog-proof"))
		check(t, err)
		for _, path := range files {
			proof, err := os.ReadFile(path)
			check(t, err)
			entry, err := os.ReadFile(strings.TrimSuffix(path, ".tlog-proof") + ".entry")
			check(t, err)
			if _, err := verify.CheckReceipt(policy, proof, entry); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// TestOpenRefuses reports files that cannot be imported whole.
func TestOpenRefuses(t *testing.T) {
	m, err := mapping.Find("cloudtrail")
	check(t, err)
	_, packed, err := sample.File("cloudtrail")
	check(t, err)
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"cut.gz":     packed[:len(packed)-5],
		"cut.json":   []byte(`{"Records":[{},`),
		"flipped.gz": append(append([]byte{}, packed[:len(packed)-6]...), 0, 0, 0, 0, 0, 0),
	} {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, text, 0o600))
		if f, err := importer.Open(path, m); err == nil {
			t.Errorf("%s was opened, with %d records", name, f.Records)
		}
	}
	if _, err := importer.Open(filepath.Join(dir, "missing"), m); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
}

// TestSpool reads a stream, and leaves no file behind.
func TestSpool(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	m, err := mapping.Find("lanl-auth")
	check(t, err)
	f, err := importer.Spool("-", strings.NewReader(lines), m)
	check(t, err)
	if f.Records != 9 || f.Digest != file(t, "lanl-auth", lines).Digest {
		t.Errorf("%d records, digest %x", f.Records, f.Digest)
	}
	check(t, f.Close())
	left, err := os.ReadDir(os.TempDir())
	check(t, err)
	if len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
}

// TestChanged reports a file that is other bytes when it is sent.
func TestChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	check(t, os.WriteFile(path, []byte(lines), 0o600))
	m, err := mapping.Find("lanl-auth")
	check(t, err)
	f, err := importer.Open(path, m)
	check(t, err)
	defer f.Close()
	check(t, os.WriteFile(path, []byte(strings.Replace(lines, "U1@DOM3", "U1@DOM4", 1)), 0o600))
	_, err = importer.Run(t.Context(), startLog(t).dial(t), f, importer.Options{})
	if err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("a file that changed gives %v", err)
	}
}

// TestConflict reports a run of the file's name that holds other bytes.
func TestConflict(t *testing.T) {
	for name, tt := range map[string]struct {
		text, want string
	}{
		"other bytes": {strings.ReplaceAll(lines, "DOM2", "DOM9"), "maps it otherwise"},
		"too many":    {lines + lines, "which has 9"},
	} {
		c := startLog(t).dial(t)
		f, other := file(t, "lanl-auth", lines), file(t, "lanl-auth", tt.text)
		other.Digest = f.Digest // as if another program had mapped the file
		options := importer.Options{OnReceipt: func(*client.Receipt) error { return nil }}
		if _, err := importer.Run(t.Context(), c, other, options); err == nil || !strings.Contains(err.Error(), "changed") {
			t.Fatalf("%s: preparing: %v", name, err)
		}
		_, err := importer.Run(t.Context(), c, f, importer.Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want one with %q", name, err, tt.want)
		}
	}
}

// TestOptions refuses what makes no sense before anything is sent.
func TestOptions(t *testing.T) {
	if _, err := importer.Run(t.Context(), nil, file(t, "lanl-auth", lines), importer.Options{Batch: 5000}); err == nil {
		t.Error("a batch of 5,000 is accepted")
	}
	got, err := importer.Run(t.Context(), nil, file(t, "lanl-auth", " \n"), importer.Options{})
	if err != nil || got.Accepted+got.Duplicates+got.Skipped != 0 {
		t.Errorf("an empty file gives %v, %v", got, err)
	}
}
