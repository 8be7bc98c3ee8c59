package config_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/google/go-cmp/cmp"

	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/identity"
)

const full = `
listen:
  ingest: 127.0.0.1:0
  query: "[::1]:7402"
allow_remote: true
hosts: [audit.example.com, 10.0.0.7]
access:
  ingest: ["spiffe://desk.example/*"]
  query: ["*"]
  admin: [spiffe://example.com/operator, spiffe://example.com/second]
trust:
  desk.example: trust/desk.pem
revoked:
  - {issuer: "CN=Desk CA", serial: "1F:2e"}
  - spki: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
anchor: ../other/log.anchor
log: {level: debug, format: json}
limits: {queue_bytes: 16777216, workers: 3, disk_low_bytes: 1073741824, ballast_bytes: -1}
verification: {period: 36h}
`

func TestParseReadsEveryKey(t *testing.T) {
	got, err := config.Parse([]byte(full), "/srv/conf")
	if err != nil {
		t.Fatal(err)
	}
	period := 36 * time.Hour
	want := &config.Config{
		Listen:      config.Listen{Ingest: "127.0.0.1:0", Query: "[::1]:7402"},
		AllowRemote: true,
		Hosts:       []string{"audit.example.com", "10.0.0.7"},
		Access: config.Access{
			Ingest: identity.Allow{"spiffe://desk.example/*"},
			Query:  identity.Allow{"*"},
			Admin:  identity.Allow{"spiffe://example.com/operator", "spiffe://example.com/second"},
		},
		Trust: map[string]string{"desk.example": "/srv/conf/trust/desk.pem"},
		Revoked: []identity.Revocation{
			{Issuer: "CN=Desk CA", Serial: "1F:2e"}, {SPKI: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
		},
		Anchor:       "/srv/other/log.anchor",
		Log:          config.Log{Level: "debug", Format: "json"},
		Limits:       config.Limits{QueueBytes: 16 << 20, Workers: 3, DiskLowBytes: 1 << 30, BallastBytes: -1},
		Verification: config.Verification{Period: &period},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parsed (-want +got):\n%s", diff)
	}
}

func TestParseReportsEveryFault(t *testing.T) {
	text := `
listen:
  ingest: nonsense
  query: 127.0.0.1:99999
  qery_http: 127.0.0.1:1
colour: red
hosts: ["a b"]
access: {admin: ["operator"]}
trust: {desk.example: ""}
revoked: [{spki: nonsense}]
log: {level: loud, format: xml}
limits: {queue_bytes: 5, workers: -1}
verification: {period: 5m}
drift: {every: 5s, grace: -1s}
witness_at_start: perhaps
witness_heartbeat: 1s
`
	_, err := config.Parse([]byte(text), "/")
	if err == nil {
		t.Fatal("a faulty configuration was accepted")
	}
	for _, want := range []string{
		"listen.ingest", "listen.query", "unknown key qery_http", "unknown key colour", "hosts",
		"access.admin", "trust.desk.example", "log.level", "log.format", "limits.queue_bytes", "limits.workers",
		"verification.period", "drift.every", "drift.grace", "witness_at_start: \"perhaps\"", "witness_heartbeat: 1s", "name the witnesses",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s:\n%v", want, err)
		}
	}
}

func TestWitnesses(t *testing.T) {
	for text, want := range map[string][3]string{
		"":                     {"", "", "0s"},
		"witnesses: w.policy":  {"/etc/w.policy", "warn", "1h0m0s"},
		"witnesses: /w.policy": {"/w.policy", "warn", "1h0m0s"},
		"{witnesses: w, witness_at_start: require, witness_heartbeat: 24h}": {"/etc/w", "require", "24h0m0s"},
	} {
		c, err := config.Load([]byte(text), "/etc", config.Flags{}, "example.com")
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]string{c.Witnesses, c.WitnessAtStart, c.WitnessHeartbeat.String()}; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestDriftHasAGrace(t *testing.T) {
	for text, want := range map[string]config.Drift{
		"":                                {},
		"drift: {every: 24h}":             {Every: 24 * time.Hour},
		"drift: {every: 24h, grace: 30m}": {Every: 24 * time.Hour, Grace: new(time.Duration)},
	} {
		c, err := config.Parse([]byte(text), "/")
		if err != nil {
			t.Fatal(err)
		}
		grace := want.Every / 8
		if want.Grace != nil {
			grace = 30 * time.Minute
		}
		if c.Drift.Every != want.Every || c.Drift.GraceOf() != grace {
			t.Errorf("%q: %+v, grace %v", text, c.Drift, c.Drift.GraceOf())
		}
	}
}

func TestParseRefusesASecondDocument(t *testing.T) {
	if _, err := config.Parse([]byte("allow_remote: false\n---\nallow_remote: true\n"), "/"); err == nil {
		t.Error("a second document was ignored")
	}
}

func TestEmptyConfigurationMeansTheDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n"} {
		c, err := config.Parse([]byte(text), "/")
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if err := c.Complete("example.com"); err != nil {
			t.Fatal(err)
		}
		if *c.Verification.Period != config.VerificationPeriod {
			t.Errorf("verification.period is %v", *c.Verification.Period)
		}
		if diff := cmp.Diff(config.Defaults(), c.Listen); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
		if !c.Access.Admin.Includes("spiffe://example.com/operator") || c.Access.Admin.Includes("spiffe://example.com/producer") {
			t.Errorf("admin access is %v", c.Access.Admin)
		}
	}
}

func TestCompleteRefusesRemoteAddresses(t *testing.T) {
	tests := []struct {
		name   string
		config config.Config
		fault  string // empty: accepted
	}{
		{"loopback", config.Config{Listen: config.Listen{Ingest: "127.0.0.2:1", Query: "[::1]:1", Admin: "localhost:1"}}, ""},
		{"every interface", config.Config{Listen: config.Listen{Ingest: ":7401"}}, "--allow-remote"},
		{"a remote address", config.Config{Listen: config.Listen{Admin: "10.1.2.3:7404"}}, "--allow-remote"},
		{"a name", config.Config{Listen: config.Listen{Query: "audit.example.com:1"}}, "--allow-remote"},
		{"allowed", config.Config{AllowRemote: true, Listen: config.Listen{Ingest: "10.1.2.3:1"}}, ""},
		{"public never", config.Config{AllowRemote: true, Listen: config.Listen{Public: "10.1.2.3:1"}}, "plain HTTP"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.config.Complete("example.com")
			switch {
			case test.fault == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)):
				t.Errorf("error %v does not say %q", err, test.fault)
			}
		})
	}
}

func TestCertificateHostsNameWhatIsListenedOn(t *testing.T) {
	c := config.Config{AllowRemote: true, Hosts: []string{"audit.example.com"}, Listen: config.Listen{Ingest: "10.1.2.3:1", Query: "0.0.0.0:1"}}
	if err := c.Complete("example.com"); err != nil {
		t.Fatal(err)
	}
	got := c.CertificateHosts()
	for _, want := range []string{"localhost", "127.0.0.1", "::1", "audit.example.com", "10.1.2.3"} {
		if !slices.Contains(got, want) {
			t.Errorf("hosts %v lack %s", got, want)
		}
	}
	if slices.Contains(got, "0.0.0.0") {
		t.Errorf("hosts %v name an unspecified address", got)
	}
}

func TestLogFormats(t *testing.T) {
	for _, test := range []struct {
		format   string
		terminal bool
		json     bool
	}{{"", false, true}, {"", true, false}, {"auto", true, false}, {"json", true, true}, {"text", false, false}} {
		var out bytes.Buffer
		h := config.Log{Format: test.format}.Handler(&out, test.terminal)
		if got := strings.Contains(stringOf(t, h, &out), `{"`); got != test.json {
			t.Errorf("format %q, terminal %v: json = %v", test.format, test.terminal, got)
		}
	}
}

// FuzzParse: no input panics, and what is accepted survives being written and
// parsed again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte("listen: {ingest: x}"))
	f.Add([]byte("trust: {a: b}\nhosts: [a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse(text, "/srv")
		if err != nil {
			return
		}
		again, err := yaml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := config.Parse(again, "/srv")
		if err != nil {
			t.Fatalf("parsed, but its own text does not: %v\n%s", err, again)
		}
		third, err := yaml.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, third) {
			t.Fatalf("text changed:\n%s\n%s", again, third)
		}
		if c.Anchor != "" && !filepath.IsAbs(c.Anchor) {
			t.Fatalf("anchor %q is not absolute", c.Anchor)
		}
	})
}
