package drift_test

import (
	"bytes"
	"testing"

	"github.com/daybook-ledger/daybook/client/drift"
)

// fuzzZone holds a parser of zones against any input: it never panics, what it
// takes is canonical, and a scan of it ends and says the same twice.
func fuzzZone(f *testing.F, parse func([]byte) (*drift.Zone, error), seeds ...string) {
	for _, name := range seeds {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		z, err := parse(text)
		if err != nil {
			return
		}
		for _, r := range z.Records {
			if r.Name != "" && r.Name[len(r.Name)-1] == '.' && r.Name != "." && !bytes.Contains(text, []byte(`\`)) && !bytes.Contains(text, []byte("..")) {
				t.Errorf("name %q ends in a dot", r.Name)
			}
		}
		one := scan(t, func(c *drift.Config) { c.Zones = []*drift.Zone{z} })
		two := scan(t, func(c *drift.Config) { c.Zones = []*drift.Zone{z} })
		if lines(one) != lines(two) {
			t.Errorf("two scans differ:\n%s\n%s", lines(one), lines(two))
		}
	})
}

func FuzzParseZone(f *testing.F) {
	fuzzZone(f, func(b []byte) (*drift.Zone, error) { return drift.ParseZone(b, "example.com", "f") }, "example.com.zone", "cloudflare.txt")
}

func FuzzParseRoute53(f *testing.F) {
	fuzzZone(f, func(b []byte) (*drift.Zone, error) { return drift.ParseRoute53(b, "f") }, "route53.json")
}

func FuzzParseCloudflare(f *testing.F) {
	fuzzZone(f, func(b []byte) (*drift.Zone, error) { return drift.ParseCloudflare(b, "", "f") }, "cloudflare.json", "cloudflare.txt")
}

func FuzzParseTerraform(f *testing.F) {
	for _, name := range []string{"state.json", "plan.json"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in, err := drift.ParseTerraform(text, "f")
		if err != nil {
			return
		}
		one := scan(t, func(c *drift.Config) { c.Infrastructures = []*drift.Infrastructure{in} })
		two := scan(t, func(c *drift.Config) { c.Infrastructures = []*drift.Infrastructure{in} })
		if lines(one) != lines(two) {
			t.Errorf("two scans differ:\n%s\n%s", lines(one), lines(two))
		}
	})
}
