package domains_test

import (
	"errors"
	"strings"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// speakMap has three domains; web has a gateway and a collector, the database
// another gateway.
func speakMap(t testing.TB) *domains.Map {
	t.Helper()
	domain := func(id string, change func(*daybookv1.Domain)) *daybookv1.Domain {
		d := &daybookv1.Domain{Id: id, Function: "f-" + id, Tier: daybookv1.Tier_TIER_PRODUCTION, Risk: daybookv1.Risk_RISK_LOW, Owner: "o"}
		change(d)
		return d
	}
	m, err := domains.Compile(&daybookv1.MapDocument{
		Format: 1, Yaml: []byte("x"), Author: "a", Firm: "f", Approver: "cco",
		People: []*daybookv1.Person{{Id: "cco"}},
		Domains: []*daybookv1.Domain{
			domain("db", func(d *daybookv1.Domain) { d.Gateways = []string{"spiffe://db/gateway", "spiffe://mesh/gateway"} }),
			domain("ops", func(*daybookv1.Domain) {}),
			domain("web", func(d *daybookv1.Domain) {
				d.Aliases, d.Dns = []string{"customer-web"}, []string{"www.example.com"}
				d.Gateways = []string{"spiffe://web/gateway"}
				d.Collectors = []string{"spiffe://ops/collector", "spiffe://web/collector"}
			}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMaySpeak(t *testing.T) {
	m := speakMap(t)
	const (
		first, second, backfill = daybookv1.Provenance_PROVENANCE_FIRST_HAND, daybookv1.Provenance_PROVENANCE_SECOND_HAND, daybookv1.Provenance_PROVENANCE_BACKFILL
		unsaid, atSource        = daybookv1.Side_SIDE_UNSPECIFIED, daybookv1.Side_SIDE_SOURCE
		atTarget, atGateway     = daybookv1.Side_SIDE_TARGET, daybookv1.Side_SIDE_GATEWAY
		byCollector             = daybookv1.Side_SIDE_COLLECTOR
		no, hand                = domains.CodeMayNotSpeak, domains.CodeCollectorFirstHand
	)
	for _, c := range []struct {
		producer, source, target string
		side                     daybookv1.Side
		provenance               daybookv1.Provenance
		code                     string // empty: it may
	}{
		{"spiffe://web/app", "web", "db", atSource, first, ""},
		{"spiffe://web/app/7", "web", "db", unsaid, first, ""},
		{"spiffe://customer-web/app", "web", "db", atSource, first, ""},
		{"spiffe://www.example.com/app", "web", "db", atSource, first, ""},
		{"spiffe://web/app", "web", "web", atTarget, first, ""},
		{"spiffe://web/app", "web", domains.Unmapped, atSource, first, ""},
		{"spiffe://web/app", "web", "db", atTarget, first, no},
		{"spiffe://web/app", "web", "db", atGateway, first, no},
		{"spiffe://web/app", "web", "db", byCollector, second, no},
		{"spiffe://web/app", "db", "ops", unsaid, first, no},
		{"spiffe://web/app", "db", "web", atSource, first, no},
		{"spiffe://web/app", "db", "web", unsaid, first, ""},
		{"spiffe://db/app", "web", "db", atTarget, first, ""},
		{"spiffe://db/app", domains.Unmapped, "db", atTarget, first, ""},
		{"spiffe://db/app", "web", "db", atSource, first, no},
		{"spiffe://web/gateway", "web", "db", atGateway, first, ""},
		{"spiffe://web/gateway", "ops", "web", atGateway, first, ""},
		{"spiffe://web/gateway", "ops", "web", atTarget, first, ""}, // it is of the domain
		{"spiffe://web/gateway", "ops", "db", atGateway, first, no},
		{"spiffe://mesh/gateway", "ops", "db", atGateway, first, ""},
		{"spiffe://mesh/gateway", "ops", "db", unsaid, first, ""},
		{"spiffe://mesh/gateway", "ops", "db", atTarget, first, no},
		{"spiffe://ops/collector", "web", "db", byCollector, second, ""},
		{"spiffe://ops/collector", "db", "web", atSource, backfill, ""},
		{"spiffe://ops/collector", "web", "db", atTarget, second, ""},
		{"spiffe://ops/collector", "web", "db", atGateway, second, ""},
		{"spiffe://ops/collector", "web", "db", unsaid, backfill, ""},
		{"spiffe://ops/collector", "web", "db", byCollector, first, hand},
		{"spiffe://ops/collector", "web", "db", unsaid, first, hand},
		{"spiffe://ops/collector", "ops", "web", atSource, first, ""}, // its own domain
		{"spiffe://ops/collector", "db", "ops", byCollector, second, no},
		{"spiffe://web/collector", "web", "db", byCollector, first, hand},
		{"spiffe://ops/collector2", "web", "db", byCollector, second, no},
		{"spiffe://stranger/app", domains.Unmapped, "db", atSource, first, ""}, // to be seen, as unmapped
		{"spiffe://stranger/app", "db", domains.Unmapped, atTarget, first, ""},
		{"spiffe://stranger/app", "web", domains.Unmapped, unsaid, second, ""},
		{"spiffe://stranger/app", domains.Unmapped, "db", atTarget, first, no},
		{"spiffe://stranger/app", "web", "db", unsaid, first, no},
		{"spiffe://web/app", domains.Unmapped, "db", atSource, first, no},
		{"spiffe://mesh/gateway", domains.Unmapped, domains.Unmapped, atGateway, first, ""},
		{"spiffe://mesh/other", domains.Unmapped, domains.Unmapped, atGateway, first, no},
		{"spiffe://ops/collector", domains.Unmapped, domains.Unmapped, byCollector, second, ""},
		{"spiffe://ops/collector", domains.Unmapped, domains.Unmapped, byCollector, first, hand},
		{"spiffe://" + strings.Repeat("w", 64) + "/app", "web", "db", atSource, first, no},
		{"spiffe://web", "web", "db", atSource, first, no},
		{"web/app", "web", "db", atSource, first, no},
		{"", "web", "db", unsaid, first, no},
		{"", "", "", unsaid, second, no},
	} {
		err := m.MaySpeak(c.producer, c.source, c.target, c.side, c.provenance)
		var refused *domains.SpeakError
		code := ""
		if errors.As(err, &refused) {
			code = refused.Code
		}
		if code != c.code || (err == nil) != (c.code == "") {
			t.Errorf("%s about %s -> %s, %v, %v: %v, want %q", c.producer, c.source, c.target, c.side, c.provenance, err, c.code)
		}
	}
}

func TestSpeakErrorSaysWhatToDo(t *testing.T) {
	m := speakMap(t)
	for want, err := range map[string]error{
		"its domain is web":             m.MaySpeak("spiffe://web/app", "db", "ops", daybookv1.Side_SIDE_SOURCE, daybookv1.Provenance_PROVENANCE_FIRST_HAND),
		"no domain of the map in force": m.MaySpeak("spiffe://stranger/app", "db", "ops", daybookv1.Side_SIDE_SOURCE, daybookv1.Provenance_PROVENANCE_FIRST_HAND),
		"second-hand or backfill":       m.MaySpeak("spiffe://ops/collector", "web", "db", daybookv1.Side_SIDE_SOURCE, daybookv1.Provenance_PROVENANCE_FIRST_HAND),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestMaySpeakAllocatesNothing(t *testing.T) {
	m := speakMap(t)
	for _, producer := range []string{"spiffe://web/app", "spiffe://web/gateway", "spiffe://ops/collector"} {
		if n := testing.AllocsPerRun(100, func() {
			if err := m.MaySpeak(producer, "web", "db", daybookv1.Side_SIDE_UNSPECIFIED, daybookv1.Provenance_PROVENANCE_SECOND_HAND); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", producer, n)
		}
	}
}

func BenchmarkMaySpeak(b *testing.B) {
	m := speakMap(b)
	for _, producer := range []string{"spiffe://web/app", "spiffe://mesh/gateway", "spiffe://ops/collector"} {
		b.Run(producer, func(b *testing.B) {
			for b.Loop() {
				if err := m.MaySpeak(producer, "web", "db", daybookv1.Side_SIDE_UNSPECIFIED, daybookv1.Provenance_PROVENANCE_SECOND_HAND); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
