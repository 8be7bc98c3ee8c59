package sample_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-ledger/daybook/client/mapping"
)

// update makes the samples again from the folder with the whole data sets:
//
//	go test ./client/mapping/sample -run TestUpdate -update DIR
var update = flag.String("update", "", "make the samples again from the data sets in this folder")

// source is one data set: its file under the folder, how many records the
// sample takes, and what replaces names in it.
type source struct {
	mapping string
	file    string
	records int
	clean   func(p *pseudonyms, o map[string]any)
}

var sources = []source{
	{"cloudtrail", "cloudtrail-invictus/cloudtrail.jsonl.gz", 400, cleanCloudTrail},
	{"lanl-auth", "lanl-auth-safekit/auth.jsonl.gz", 2000, nil},
	{"s3-access", "s3-honeybucket-otrf/honeybucket.jsonl.gz", 100, cleanS3},
	{"xroad", "xroad-opmon/fixtures.jsonl.gz", 30, cleanXRoad},
}

func TestUpdate(t *testing.T) {
	if *update == "" {
		t.Skip("no -update")
	}
	for _, s := range sources {
		lines, all := choose(t, s)
		p := newPseudonyms()
		if s.clean != nil {
			p.learn(t, all)
		}
		var out bytes.Buffer
		z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if s.clean != nil {
				line = rewrite(t, p, s, line)
			}
			if _, err := z.Write(append(line, '\n')); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.mapping+".jsonl.gz", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d records, %d bytes", s.mapping, len(lines), out.Len())
	}
}

// choose takes the first record of each pair, operation, outcome and type of
// actor, and fills up with records at even distances, all in the file's order. It
// returns all records, too.
func choose(t *testing.T, s source) (chosen, all [][]byte) {
	t.Helper()
	m, err := mapping.Find(s.mapping)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(*update, s.file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err := mapping.Decompress(f)
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]bool{}
	keep := map[int]bool{}
	for r := m.NewReader(in, [32]byte{}); ; {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		result, err := m.Map(record)
		if err != nil {
			t.Fatalf("%s %d: %v", s.mapping, record.Number, err)
		}
		e := result.Event
		key := e.Source.Domain + "\x00" + e.Target.Domain + "\x00" + e.Action.Operation + "\x00" + e.Outcome.Code + "\x00" + e.Actor.Type.String() + "\x00" + e.Side.String()
		if !first[key] && len(first) < s.records {
			first[key] = true
			keep[len(all)] = true
		}
		all = append(all, record.Bytes)
	}
	for step := len(all) / s.records; len(keep) < s.records && step > 0; step /= 2 {
		for i := 0; i < len(all) && len(keep) < s.records; i += step {
			keep[i] = true
		}
	}
	for i, line := range all {
		if keep[i] {
			chosen = append(chosen, line)
		}
	}
	return chosen, all
}

// rewrite parses one line, cleans it, and writes it again.
func rewrite(t *testing.T, p *pseudonyms, s source, line []byte) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var o map[string]any
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	s.clean(p, o)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(p.walk(o)); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(out.Bytes())
}
