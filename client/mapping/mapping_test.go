package mapping_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client/mapping"
	"github.com/daybook-ledger/daybook/client/mapping/sample"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

var update = flag.Bool("update", false, "write the golden files again")

// find returns the mapping of a name.
func find(t testing.TB, name string) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// readAll returns all records of a file.
func readAll(t testing.TB, m *mapping.Mapping, file []byte) []mapping.Record {
	t.Helper()
	in, err := mapping.Decompress(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	var records []mapping.Record
	for r := m.NewReader(bytes.NewReader(whole), sha256.Sum256(whole)); ; {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			if _, again := r.Next(); !errors.Is(again, io.EOF) {
				t.Fatalf("behind the end: %v", again)
			}
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
}

// show writes the event or the reason on one line.
func show(t *testing.T, m *mapping.Mapping, r mapping.Record) string {
	t.Helper()
	result, err := m.Map(r)
	var why *mapping.Reason
	if errors.As(err, &why) {
		return fmt.Sprintf("%d %s", r.Number, why)
	}
	if err != nil {
		t.Fatalf("record %d: %v is no Reason", r.Number, err)
	}
	// protojson varies its spaces on purpose.
	text, err := protojson.Marshal(result.Event)
	if err != nil {
		t.Fatal(err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", r.Number, &line)
}

// TestGolden maps the first records of each sample, and the odd ones that were
// written for this test, and compares every field of every event.
func TestGolden(t *testing.T) {
	for _, name := range mapping.Names() {
		t.Run(name, func(t *testing.T) {
			m := find(t, name)
			_, file, err := sample.File(name)
			if err != nil {
				t.Fatal(err)
			}
			odd, err := os.ReadFile(filepath.Join("testdata", name+".jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for i, r := range readAll(t, m, file) {
				if i%(1+len(file)/800) == 0 {
					fmt.Fprintln(&out, "sample", show(t, m, r))
				}
			}
			for _, r := range readAll(t, m, odd) {
				fmt.Fprintln(&out, "odd", show(t, m, r))
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(out.String(), "\n")); diff != "" {
				t.Errorf("events differ (-want +got); -update writes them again:\n%s", diff)
			}
		})
	}
}

// TestSamples checks that every record of every sample becomes an event with
// readable domains, and that the pairs are those of the data.
func TestSamples(t *testing.T) {
	pairs := map[string]map[string]int{}
	for _, name := range mapping.Names() {
		m := find(t, name)
		_, file, err := sample.File(name)
		if err != nil {
			t.Fatal(err)
		}
		pairs[name] = map[string]int{}
		for _, r := range readAll(t, m, file) {
			result, err := m.Map(r)
			if err != nil {
				t.Errorf("%s record %d: %v", name, r.Number, err)
				continue
			}
			e := result.Event
			for _, domain := range []string{e.Source.Domain, e.Target.Domain} {
				if verify.CanonicalDomain([]byte(domain)) != domain {
					t.Errorf("%s record %d: domain %q is not its own id", name, r.Number, domain)
				}
			}
			pairs[name][e.Source.Domain+" -> "+e.Target.Domain]++
		}
	}
	for name, want := range map[string]int{"cloudtrail": 10, "lanl-auth": 58, "s3-access": 8, "xroad": 10} {
		if got := len(pairs[name]); got != want {
			t.Errorf("%s has %d pairs, want %d: %v", name, got, want, pairs[name])
		}
	}
}

// TestDecline checks that what stands in for a skipped record is admitted.
func TestDecline(t *testing.T) {
	m := find(t, "cloudtrail")
	r := mapping.Record{Bytes: []byte(`{"eventName":"GetUser"}`), Number: 7, File: [32]byte{1}}
	_, err := m.Map(r)
	var why *mapping.Reason
	if !errors.As(err, &why) {
		t.Fatalf("Map gave %v, want a Reason", err)
	}
	if diff := cmp.Diff(&mapping.Reason{Code: mapping.Missing, Field: "userIdentity"}, why); diff != "" {
		t.Error(diff)
	}
	body := marshal(t, m.Decline(r, why))
	if err := verify.CheckBody(daybookv1.Kind_KIND_DECLINED, body); err != nil {
		t.Errorf("admission refuses it: %v", err)
	}
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestFind checks that an unknown name is told the known ones.
func TestFind(t *testing.T) {
	_, err := mapping.Find("syslog")
	if err == nil || !strings.Contains(err.Error(), "cloudtrail, lanl-auth, s3-access, xroad") {
		t.Errorf("Find gave %v", err)
	}
	if got := find(t, "xroad").String(); got != "xroad/1" {
		t.Errorf("mapping is %q", got)
	}
}

// FuzzMap checks each mapping on any bytes: it does not panic, says the same
// twice, and gives an event or a Declined that is admitted.
func FuzzMap(f *testing.F) {
	for _, name := range mapping.Names() {
		odd, err := os.ReadFile(filepath.Join("testdata", name+".jsonl"))
		if err != nil {
			f.Fatal(err)
		}
		for _, r := range readAll(f, find(f, name), odd) {
			f.Add(r.Bytes)
		}
		_, file, err := sample.File(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, r := range readAll(f, find(f, name), file)[:20] {
			f.Add(r.Bytes)
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, name := range mapping.Names() {
			m := find(t, name)
			r := mapping.Record{Bytes: line, Number: 1, File: [32]byte{1}}
			result, err := m.Map(r)
			var why *mapping.Reason
			switch {
			case errors.As(err, &why):
				body := marshal(t, m.Decline(r, why))
				if err := verify.CheckBody(daybookv1.Kind_KIND_DECLINED, body); err != nil {
					t.Fatalf("%s: admission refuses the declined record: %v", name, err)
				}
				if _, again := m.Map(r); !errors.As(again, &why) || why.Error() != err.Error() {
					t.Fatalf("%s: the same record gave another reason: %v, %v", name, err, again)
				}
			case err != nil:
				t.Fatalf("%s: %v is no Reason", name, err)
			default:
				if _, err := verify.ParseEvent(result.Body); err != nil {
					t.Fatalf("%s: admission refuses the event: %v", name, err)
				}
				again, err := m.Map(r)
				if err != nil || !bytes.Equal(again.Body, result.Body) {
					t.Fatalf("%s: the same record gave other bytes (%v)", name, err)
				}
			}
		}
	})
}
