package verify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/verify"
)

var update = flag.Bool("update", false, "rewrite the conformance kit and the example of doc.go")

// Verdicts of a conformance case.
const (
	caseOK      = "ok"
	caseRefused = "refused"
	caseNewer   = "newer"
)

// kitCase is one case of the conformance kit; testdata/conformance/README.md
// specifies it.
type kitCase struct {
	Name    string            `json:"name"`
	Input   map[string]string `json:"input"`
	Verdict string            `json:"verdict"`
	Field   string            `json:"field,omitempty"`
	Output  map[string]string `json:"output,omitempty"`
}

func (c kitCase) bytes(t *testing.T, name string) []byte {
	b, err := base64.StdEncoding.DecodeString(c.Input[name])
	if err != nil {
		t.Fatalf("%s: input %s: %v", c.Name, name, err)
	}
	return b
}

func (c kitCase) number(t *testing.T, name string) uint64 {
	n, err := strconv.ParseUint(c.Input[name], 10, 64)
	if err != nil {
		t.Fatalf("%s: input %s: %v", c.Name, name, err)
	}
	return n
}

func (c kitCase) hashes(t *testing.T, name string) []verify.Hash {
	var out []verify.Hash
	for _, s := range strings.Fields(c.Input[name]) {
		out = append(out, hexHash(t, s))
	}
	return out
}

// kit says how the cases of each file are run: the error and what came out.
var kit = map[string]func(*testing.T, kitCase) (map[string]string, error){
	"entry": func(t *testing.T, c kitCase) (map[string]string, error) {
		b := c.bytes(t, "entry")
		e, err := verify.ParseEntry(b)
		if err == nil {
			err = verify.CheckBody(e.Place.Kind, e.Body)
		}
		leaf := verify.HashLeaf(b)
		return map[string]string{"leaf_hash": hex.EncodeToString(leaf[:]), "stream_key": hex.EncodeToString([]byte(verify.StreamKeyOf(&e.Place)))}, err
	},
	"event": func(t *testing.T, c kitCase) (map[string]string, error) {
		e, err := verify.ParseEvent(c.bytes(t, "event"))
		return map[string]string{"event_id": hex.EncodeToString(e.EventID), "source_id": verify.CanonicalDomain(e.SourceDomain),
			"target_id": verify.CanonicalDomain(e.TargetDomain), "sealed": strconv.Itoa(e.Sealed), "unknown_bytes": strconv.Itoa(e.UnknownBytes)}, err
	},
	"checkpoint": func(t *testing.T, c kitCase) (map[string]string, error) {
		p, err := verify.ParsePolicy([]byte(c.Input["policy"]))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		o, err := p.Open([]byte(c.Input["note"]))
		return map[string]string{"origin": o.Origin, "size": strconv.FormatUint(o.Size, 10), "root": hex.EncodeToString(o.Root[:]), "witnesses": strconv.Itoa(len(o.Witnesses))}, err
	},
	"policy": func(_ *testing.T, c kitCase) (map[string]string, error) {
		_, err := verify.ParsePolicy([]byte(c.Input["policy"]))
		return nil, err
	},
	"receipt": func(t *testing.T, c kitCase) (map[string]string, error) {
		p, err := verify.ParsePolicy([]byte(c.Input["policy"]))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		claims, err := verify.CheckReceipt(p, []byte(c.Input["receipt"]), c.bytes(t, "entry"))
		return map[string]string{"index": strconv.FormatUint(claims.Index, 10), "size": strconv.FormatUint(claims.Size, 10)}, err
	},
	"range": func(t *testing.T, c kitCase) (map[string]string, error) {
		return nil, verify.CheckRange(c.number(t, "lo"), c.number(t, "size"), c.hashes(t, "leaves"), c.hashes(t, "proof"), hexHash(t, c.Input["root"]))
	},
	"consistency": func(t *testing.T, c kitCase) (map[string]string, error) {
		return nil, verify.CheckConsistency(c.number(t, "first"), c.number(t, "second"), hexHash(t, c.Input["first_root"]), hexHash(t, c.Input["second_root"]), c.hashes(t, "proof"))
	},
	"close": kitClose,
	"table": kitTable,
	"row":   kitRow,
	"slip":  kitSlip,
	"fingerprint": func(t *testing.T, c kitCase) (map[string]string, error) {
		sum, err := verify.VKeyFingerprint(c.Input["vkey"])
		if text, ok := c.Input["sha256"]; ok {
			sum, err = hexHash(t, text), nil
		}
		return map[string]string{"sha256": hex.EncodeToString(sum[:]), "words": strings.Join(verify.FingerprintWords(sum), " ")}, err
	},
	"hash": func(t *testing.T, c kitCase) (map[string]string, error) {
		var h verify.Hash
		switch c.Input["of"] {
		case "composite":
			var parts [][]byte
			for _, s := range strings.Split(c.Input["parts"], " ") {
				part, err := hex.DecodeString(s)
				if err != nil {
					t.Fatal(err)
				}
				parts = append(parts, part)
			}
			h = verify.CompositeHash(c.Input["label"], parts...)
		case "run":
			h = verify.RunNext(hexHash(t, c.Input["previous"]), c.number(t, "number"), hexHash(t, c.Input["body_sha256"]))
		case "leaf":
			h = verify.HashLeaf(c.bytes(t, "entry"))
		}
		return map[string]string{"hash": hex.EncodeToString(h[:])}, nil
	},
}

// TestConformance runs every case of the kit as it stands in testdata, and
// checks that the kit is the one that the builders make.
func TestConformance(t *testing.T) {
	if *update {
		for name, cases := range buildKit(t) {
			for i := range cases {
				if out, err := kit[name](t, cases[i]); err == nil {
					cases[i].Output = out
				}
			}
			writeKit(t, name, cases)
		}
	}
	built := buildKit(t)
	for name := range kit {
		t.Run(name, func(t *testing.T) {
			cases := readKit(t, name)
			for _, c := range cases {
				out, err := kit[name](t, c)
				c.judge(t, err, out)
			}
			plain := slices.Clone(cases)
			for i := range plain {
				plain[i].Output = nil
			}
			if diff := cmp.Diff(built[name], plain); diff != "" {
				t.Errorf("the kit is out of date: run with -update and explain the difference (-built +kept):\n%.3000s", diff)
			}
		})
	}
}

func (c kitCase) judge(t *testing.T, err error, out map[string]string) {
	t.Helper()
	verdict, field := caseOK, ""
	var fe *verify.FieldError
	var ge *verify.GrammarError
	switch {
	case errors.Is(err, verify.ErrNewer):
		verdict = caseNewer
	case errors.As(err, &fe):
		verdict, field = caseRefused, fe.Field
	case errors.As(err, &ge):
		verdict, field = caseRefused, ge.Field
	case err != nil:
		verdict = caseRefused
	}
	if verdict != c.Verdict || c.Field != "" && field != c.Field {
		t.Errorf("%s: %s %s (%v), want %s %s", c.Name, verdict, field, err, c.Verdict, c.Field)
	}
	if err == nil && len(c.Output) > 0 {
		if diff := cmp.Diff(c.Output, out); diff != "" {
			t.Errorf("%s: output (-want +got):\n%s", c.Name, diff)
		}
	}
}

func kitFile(name string) string { return filepath.Join("testdata", "conformance", name+".json") }

func readKit(t *testing.T, name string) []kitCase {
	t.Helper()
	b, err := os.ReadFile(kitFile(name))
	if err != nil {
		t.Fatal(err)
	}
	var cases []kitCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func writeKit(t *testing.T, name string, cases []kitCase) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(cases); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kitFile(name), b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}
