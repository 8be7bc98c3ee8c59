package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/client/drift"
	"github.com/daybook-ledger/daybook/client/synthetic/firm"
)

// firmSources are the drift sources of the sample firm, relative to its folder.
var firmSources = []string{"--map", "map.yaml", "--zone", "zones/firm.example.zone", "--route53", "route53.json",
	"--cloudflare", "cloudflare.json", "--terraform", "terraform.json"}

// A firmDifference is one of expected-drift.json: what is found, in which file it
// is planted, and how.
type firmDifference struct {
	Check    string `json:"check"`
	Severity string `json:"severity"`
	Domain   string `json:"domain"`
	Other    string `json:"other,omitempty"`
	Subject  string `json:"subject"`
	Source   string `json:"source"`
	Planted  string `json:"planted"`
}

// firmDrift scans the sources of a folder.
func firmDrift(t *testing.T, folder string) ([]firmDifference, int) {
	t.Helper()
	t.Chdir(folder)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"drift", "--json"}, firmSources...), strings.NewReader(""), &stdout, &stderr)
	var result drift.Result
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		t.Fatalf("%v, stderr %s", err, &stderr)
	}
	if len(result.Scanned) != 4 {
		t.Errorf("scanned %+v", result.Scanned)
	}
	found := []firmDifference{}
	for _, d := range result.Differences {
		found = append(found, firmDifference{Check: d.Check, Severity: string(d.Severity), Domain: d.Domain, Other: d.Other, Subject: d.Subject})
	}
	return found, code
}

// TestFirmDrift: a scan of the sample firm finds what is planted, one of each
// check that needs files alone, and nothing else.
func TestFirmDrift(t *testing.T) {
	text, err := os.ReadFile("testdata/firm/expected-drift.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []firmDifference
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	checks := map[string]bool{}
	for i := range want {
		if checks[want[i].Check] {
			t.Errorf("%s is planted twice", want[i].Check)
		}
		checks[want[i].Check] = true
		if want[i].Source == "" || want[i].Planted == "" {
			t.Errorf("%+v does not say what is planted where", want[i])
		}
		want[i].Source, want[i].Planted = "", "" // a scan does not know these
	}
	found, code := firmDrift(t, "testdata/firm")
	if diff := cmp.Diff(want, found); diff != "" || code != 1 {
		t.Errorf("exit code %d; want -, found +:\n%s", code, diff)
	}
}

// TestFirmDriftClean: nothing is found where the firm does as it declares. Its
// map differs in the hosting of the test database alone.
func TestFirmDriftClean(t *testing.T) {
	clean, err := os.ReadFile("testdata/firm/clean/map.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const planted = `    # Planted: the same account and network as the production database.
    hosting: {account: "100000000001", network: vpc-data, region: us-east-1}
`
	const apart = `    hosting: {account: "100000000006", network: vpc-test, region: us-east-1}
`
	if want := bytes.Replace(firm.Map(), []byte(planted), []byte(apart), 1); !bytes.Equal(clean, want) {
		t.Error("clean/map.yaml is not the sample firm's map with a hosting of its own for the test database")
	}
	if found, code := firmDrift(t, "testdata/firm/clean"); len(found) != 0 || code != 0 {
		t.Errorf("exit code %d, found %+v", code, found)
	}
}
