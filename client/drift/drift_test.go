package drift_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/client/drift"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// now is the time of every scan in these tests.
var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func domain(id, function string, tier daybookv1.Tier, risk daybookv1.Risk, account, network string, dns ...string) *daybookv1.Domain {
	return &daybookv1.Domain{Id: id, Function: function, Tier: tier, Risk: risk, Owner: "somebody", Dns: dns,
		Issuer: &daybookv1.Issuer{}, Hosting: &daybookv1.Hosting{Account: account, Network: network, Region: "us-east-1"}}
}

// firm is the map of a small firm.
func firm() *daybookv1.MapDocument {
	const production, test = daybookv1.Tier_TIER_PRODUCTION, daybookv1.Tier_TIER_TEST
	const medium, high = daybookv1.Risk_RISK_MEDIUM, daybookv1.Risk_RISK_HIGH
	m := &daybookv1.MapDocument{Format: 1, Firm: "Example Securities LLC", Approver: "cco", Domains: []*daybookv1.Domain{
		domain("broker-desk", "broker-interface", production, high, "111122223333", "vpc-desk", "desk.example.com"),
		domain("market-data", "market-data", production, medium, "111122223333", "vpc-market", "quotes.example.com"),
		domain("prod-db", "database", production, high, "111122223333", "vpc-prod-db", "db.example.com"),
		domain("test-db", "database", test, medium, "444455556666", "vpc-test", "db.test.example.com"),
		domain("web", "customer-interface", production, high, "111122223333", "vpc-web", "www.example.com"),
		domain("web-test", "customer-interface", test, medium, "444455556666", "vpc-test", "www.test.example.com"),
	}}
	m.Domains[4].Aliases = []string{"customer-web"}
	for _, ends := range [][2]string{{"broker-desk", "prod-db"}, {"web", "market-data"}, {"web", "prod-db"}, {"web-test", "test-db"}} {
		m.Flows = append(m.Flows, &daybookv1.Flow{Id: ends[0] + "-to-" + ends[1], From: ends[0], To: ends[1], Actions: []string{"read"}, Purpose: "work",
			Approver: "cco", Mode: daybookv1.FlowMode_FLOW_MODE_ENFORCE})
	}
	return m
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// scan compares the firm's map with what change puts into the configuration.
func scan(t testing.TB, change func(*drift.Config)) *drift.Result {
	t.Helper()
	c := drift.Config{Map: firm(), Now: func() time.Time { return now }}
	change(&c)
	r, err := drift.Scan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lines is a result without its times and advice, one line for each difference.
func lines(r *drift.Result) string {
	var b strings.Builder
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "%-6s %s [%s] [%s] %s: %s\n", d.Severity, d.Check, d.Domain, d.Other, d.Subject, d.Detail)
	}
	for _, s := range r.Scanned {
		fmt.Fprintf(&b, "scanned %s %s %d %s\n", s.Kind, s.Name, s.Items, s.Note)
	}
	return b.String()
}

func golden(t *testing.T, name string, r *drift.Result) {
	t.Helper()
	for _, d := range r.Differences {
		if d.Advice == "" || d.Detail == "" || d.Subject == "" || d.Check == "" {
			t.Errorf("incomplete: %+v", d)
		}
	}
	got, path := lines(r), filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, name)), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestZoneFile(t *testing.T) {
	z, err := drift.ParseZone(read(t, "example.com.zone"), "", "example.com.zone")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "zone.golden", scan(t, func(c *drift.Config) { c.Zones = []*drift.Zone{z} }))
}

func TestRoute53(t *testing.T) {
	z, err := drift.ParseRoute53(read(t, "route53.json"), "route53.json")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "route53.golden", scan(t, func(c *drift.Config) { c.Zones = []*drift.Zone{z} }))
}

func TestCloudflare(t *testing.T) {
	var zones []*drift.Zone
	for _, name := range []string{"cloudflare.json", "cloudflare.txt"} {
		z, err := drift.ParseCloudflare(read(t, name), "", name)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, z)
	}
	golden(t, "cloudflare.golden", scan(t, func(c *drift.Config) { c.Zones = zones }))
}

func TestTerraform(t *testing.T) {
	for _, name := range []string{"state", "plan"} {
		t.Run(name, func(t *testing.T) {
			in, err := drift.ParseTerraform(read(t, name+".json"), name+".json")
			if err != nil {
				t.Fatal(err)
			}
			if in.Plan != (name == "plan") {
				t.Errorf("plan is %v", in.Plan)
			}
			golden(t, name+".golden", scan(t, func(c *drift.Config) { c.Infrastructures = []*drift.Infrastructure{in} }))
		})
	}
}

func TestCrossings(t *testing.T) {
	golden(t, "crossings.golden", scan(t, func(c *drift.Config) {
		c.Map.Flows[1].NotAfterNs = now.Add(-time.Hour).UnixNano() // web to market-data
		c.Crossings = &drift.Crossings{Name: "closes 10 to 99", Pairs: []drift.Pair{
			{"customer-web", "market-data", 4}, {"web", "market-data", 3}, {"web", "prod-db", 1200}, {"web-test", "prod-db", 2},
			{"WWW.TEST.example.com.", "test-db", 8}, {"web", "broker-desk", 1}, {"web", "web", 9}, {"?unmapped", "prod-db", 5}, {"cron", "prod-db", 7},
			{"prod-db", "test-db", 6},
		}}
	}))
}

// TestCleanScan holds the firm against exactly what it declares.
func TestCleanScan(t *testing.T) {
	z, err := drift.ParseZone([]byte("desk A 192.0.2.1\nquotes A 192.0.2.2\ndb A 192.0.2.3\ndb.test A 198.51.100.3\nwww A 192.0.2.4\nwww.test A 198.51.100.4\n"), "example.com", "z")
	if err != nil {
		t.Fatal(err)
	}
	r := scan(t, func(c *drift.Config) { c.Zones = []*drift.Zone{z} })
	if len(r.Differences) != 0 || r.Worst() != "" {
		t.Errorf("a clean firm differs:\n%s", lines(r))
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`"differences":[]`, `"counts":{"high":0,"medium":0,"low":0}`, `"scanned":[{`, `"started":"2026-11-25T12:00:00Z"`, `"ended":`} {
		if !bytes.Contains(text, []byte(field)) {
			t.Errorf("%s lacks %s", text, field)
		}
	}
}

// TestRefusedExports wants a reason for each export that says less than it seems.
func TestRefusedExports(t *testing.T) {
	route53 := func(text string) error { _, err := drift.ParseRoute53([]byte(text), "f"); return err }
	cloudflare := func(text string) error { _, err := drift.ParseCloudflare([]byte(text), "", "f"); return err }
	zone := func(text string) error { _, err := drift.ParseZone([]byte(text), "", "f"); return err }
	terraform := func(text string) error { _, err := drift.ParseTerraform([]byte(text), "f"); return err }
	for _, c := range []struct {
		parse func(string) error
		text  string
		want  string
	}{
		{route53, ``, "empty"},
		{route53, `{}`, "no ResourceRecordSets"},
		{route53, `{"ResourceRecordSets":[],"NextToken":"x"}`, "ends before the zone"},
		{route53, `{"ResourceRecordSets":[]}`, "which zone"},
		{route53, `{"ResourceRecordSets":[{"Name":"a.example.com","Type":"A","ResourceRecords":[{"Value":"x"}]}]}`, "no IP address"},
		{route53, `{"ResourceRecordSets":[{"Name":"a.example.com","Type":"CNAME","ResourceRecords":[{"Value":""}]}]}`, "points to nothing"},
		{cloudflare, `{"success":false,"result":[]}`, "no result"},
		{cloudflare, `{"result":[{"name":"a.example.com","type":"A","content":"192.0.2.1"}],"result_info":{"total_count":2}}`, "1 of 2 records"},
		{zone, "$INCLUDE /etc/passwd\n", "INCLUDE"},
		{zone, "www A 192.0.2.1\n", "which zone"},
		{zone, "$ORIGIN example.com.\nwww A 192.0.2.1.5\n", "line: 2"},
		{terraform, `{}`, "format_version"},
		{terraform, `{"format_version":"2.0"}`, "format_version"},
		{terraform, `{"format_version":"1.0","values":{"root_module":{"resources":[{"address":"aws_vpc.a","type":"aws_vpc","values":{"id":7}}]}}}`, "aws_vpc.a"},
	} {
		if err := c.parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.text, err, c.want)
		}
	}
}

// TestStopped wants a scan that was stopped to say so, and not to look clean.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := drift.Scan(ctx, drift.Config{Map: firm()}); err == nil {
		t.Errorf("it returned %v", r)
	}
	if _, err := drift.Scan(t.Context(), drift.Config{}); err == nil {
		t.Error("a scan without a map")
	}
}

func digest(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] }

// TestRouteBack: the route for the answers of a declared flow is as declared, and
// one that no flow needs in either direction is not.
func TestRouteBack(t *testing.T) {
	in, err := drift.ParseTerraform([]byte(`{"format_version": "1.0", "values": {"root_module": {"resources": [
 {"address": "aws_vpc.web", "type": "aws_vpc", "values": {"id": "vpc-0w", "cidr_block": "10.1.0.0/16", "tags": {"daybook:domain": "web"}}},
 {"address": "aws_vpc.market", "type": "aws_vpc", "values": {"id": "vpc-0m", "cidr_block": "10.2.0.0/16", "tags": {"daybook:domain": "market-data"}}},
 {"address": "aws_vpc.desk", "type": "aws_vpc", "values": {"id": "vpc-0d", "cidr_block": "10.3.0.0/16", "tags": {"daybook:domain": "broker-desk"}}},
 {"address": "aws_vpc_peering_connection.a", "type": "aws_vpc_peering_connection", "values": {"id": "pcx-1", "vpc_id": "vpc-0w", "peer_vpc_id": "vpc-0m", "accept_status": "active"}},
 {"address": "aws_vpc_peering_connection.b", "type": "aws_vpc_peering_connection", "values": {"id": "pcx-2", "vpc_id": "vpc-0d", "peer_vpc_id": "vpc-0m", "accept_status": "active"}},
 {"address": "aws_route_table.web", "type": "aws_route_table", "values": {"id": "rtb-1", "vpc_id": "vpc-0w", "route": [{"cidr_block": "10.2.0.0/16", "vpc_peering_connection_id": "pcx-1"}]}},
 {"address": "aws_route_table.market", "type": "aws_route_table", "values": {"id": "rtb-2", "vpc_id": "vpc-0m", "route": [
   {"cidr_block": "10.1.0.0/16", "vpc_peering_connection_id": "pcx-1"}, {"cidr_block": "10.3.0.0/16", "vpc_peering_connection_id": "pcx-2"}]}}]}}}`), "state")
	if err != nil {
		t.Fatal(err)
	}
	r := scan(t, func(c *drift.Config) {
		for _, d := range c.Map.Domains {
			d.Hosting = nil
		}
		c.Infrastructures = []*drift.Infrastructure{in}
	})
	var found []string
	for _, d := range r.Differences {
		found = append(found, d.Check+" "+d.Domain+" "+d.Other)
	}
	if diff := cmp.Diff([]string{"terraform-route market-data broker-desk", "terraform-peering broker-desk market-data"}, found); diff != "" {
		t.Error(diff)
	}
}
