// Package config is the configuration of a server: one YAML file, DIR/config.yaml
// unless named otherwise, every key of which may be left out.
//
//	listen:
//	  ingest: 127.0.0.1:7401      # gRPC for producers
//	  query: 127.0.0.1:7402       # gRPC for readers
//	  query_http: 127.0.0.1:7403  # REST for readers
//	  admin: 127.0.0.1:7404       # gRPC for operators
//	  public: 127.0.0.1:7405      # plain HTTP on loopback: /checkpoint
//	  operations: 127.0.0.1:7406  # HTTPS: /metrics, /healthz, /readyz
//	allow_remote: false           # true: listeners may leave loopback
//	hosts: [audit.example.com]    # further names in the listeners' certificates
//	access:                       # SPIFFE ids; `*` everybody, `x/*` all below x
//	  ingest: ["*"]
//	  query: ["*"]
//	  admin: [spiffe://example.com/operator]
//	people:                       # who may do what, see server/access
//	  oidc:
//	    - issuer: https://idp.example
//	      audience: {query: daybook-query, query_http: daybook-rest, admin: daybook-admin}
//	      ca: trust/idp.pem       # default: the system's
//	      algorithms: [ES256]     # default: RS256, PS256, ES256, EdDSA
//	      groups: groups          # claim
//	      clock_skew: 30s
//	  grants:
//	    - {spiffe: "spiffe://people.example/*", role: reader, domains: [web]}
//	    - {issuer: "https://idp.example", group: operators, role: operator}
//	listeners:                    # what is set for one listener alone
//	  query_http: {host: audit.example.com, max_connections: 1024, max_message_bytes: 1048576,
//	               requests_per_second: 5000, burst: 10000, deadline: 1m,
//	               certificate: tls/audit.pem, key: tls/audit.key}   # default: by the private CA
//	  admin: {trust: {people.example: trust/people.pem}}  # these CAs alone, for these domains alone
//	trust:                        # domains with a CA of their own: PEM bundles
//	  desk.example: trust/desk.pem
//	revoked:                      # ends the use of keys and certificates; see identity.Revocation
//	  - spki: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//	  - {issuer: "CN=Desk CA", serial: 1f2e3d}
//	anchor: /elsewhere/log.anchor # newest checkpoint, outside of DIR's backups
//	log:
//	  level: info                 # debug, info, warn, error
//	  format: auto                # json, text; auto: text on a terminal
//	limits:
//	  queue_bytes: 67108864       # what may wait to be sequenced
//	  workers: 0                  # hashing in parallel; 0: one for each CPU
//	  disk_low_bytes: 0           # appends stop below so many free bytes; 0: 5 % or
//	                              # 2 GiB, the smaller; -1: never
//	  ballast_bytes: 0            # file that gives a full disk room to open the log;
//	                              # 0: 256 MiB, less on a small disk; -1: none
//	verification:                 # the whole log, from disk, in the background
//	  period: 168h                # again within this time, at least 1h; 0s: never
//	drift:                        # `daybook drift --append`, on a schedule of its own
//	  every: 24h                  # an alert where no scan came; default 0s: none is expected
//	  grace: 3h                   # a scan still counts so much later; default an eighth
//	witnesses: witnesses.policy   # who cosigns checkpoints, and whose quorum: a c2sp
//	                              # tlog-policy; default nobody
//	witness_at_start: warn        # warn: appends wait for the quorum 10 s at most;
//	                              # require: until it has answered
//	witness_heartbeat: 1h         # an idle head is cosigned again after it
//
// trust, revoked and the listeners' trust are read again when the file changes; the rest at the next
// start. Unknown keys are errors, and Parse reports every fault at once. Relative paths
// are relative to the file.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/daybook-ledger/daybook/server/identity"
)

// MaxBytes bounds a configuration file.
const MaxBytes = 1 << 20

// Config is the configuration of a server. The zero value means the defaults,
// which [Config.Complete] fills in.
type Config struct {
	// Listen holds the addresses, host:port; port 0 picks a free one.
	Listen Listen `yaml:"listen"`
	// AllowRemote permits addresses that are not loopback.
	AllowRemote bool `yaml:"allow_remote"`
	// Hosts are further names and IP addresses in the listeners' certificates.
	Hosts []string `yaml:"hosts"`
	// Access says who may use which listener.
	Access Access `yaml:"access"`
	// People says which people may do what.
	People People `yaml:"people,omitempty"`
	// Listeners bounds what may come in by each listener.
	Listeners Listeners `yaml:"listeners,omitempty"`
	// Trust maps a domain to the file of the only CAs that vouch for it.
	Trust map[string]string `yaml:"trust"`
	// Revoked lists keys and certificates that are not accepted any more.
	Revoked []identity.Revocation `yaml:"revoked"`
	// Anchor is the file of the newest checkpoint; empty: DIR.anchor.
	Anchor string `yaml:"anchor"`
	// Log is the program's own log, on stderr.
	Log Log `yaml:"log"`
	// Limits bounds memory and work.
	Limits Limits `yaml:"limits"`
	// Verification is what is derived anew in the background.
	Verification Verification `yaml:"verification"`
	// Drift says how often a drift scan is expected.
	Drift Drift `yaml:"drift,omitempty"`
	// Witnesses is the file of a c2sp tlog-policy: the witnesses that are asked to
	// cosign checkpoints, their URLs and their quorum. Empty: nobody is.
	Witnesses string `yaml:"witnesses,omitempty"`
	// WitnessAtStart is warn or require; default warn where there are witnesses.
	WitnessAtStart string `yaml:"witness_at_start,omitempty"`
	// WitnessHeartbeat is after what time an idle head is cosigned again, 1m to
	// 8784h; 0: 1h.
	WitnessHeartbeat time.Duration `yaml:"witness_heartbeat,omitempty"`
}

// Listen holds one address for each listener.
type Listen struct {
	Ingest     string `yaml:"ingest"`
	Query      string `yaml:"query"`
	QueryHTTP  string `yaml:"query_http"`
	Admin      string `yaml:"admin"`
	Public     string `yaml:"public"`
	Operations string `yaml:"operations"`
}

// Access lists the SPIFFE ids that may use a listener; nil means the default.
type Access struct {
	Ingest identity.Allow `yaml:"ingest"` // default: every authenticated peer
	// Query lists readers, who also approve where no grant makes anybody an approver.
	// Default: every authenticated peer; nobody where people have grants to read.
	Query identity.Allow `yaml:"query"`
	Admin identity.Allow `yaml:"admin"` // default: spiffe://<domain of the log>/operator; nobody where people are operators
}

// Log says how the program logs.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error; default info
	Format string `yaml:"format"` // json, text, auto; default auto
}

// Limits bounds memory and work.
type Limits struct {
	QueueBytes int64 `yaml:"queue_bytes"` // default 64 MiB, at least 8 MiB
	Workers    int   `yaml:"workers"`     // default: one for each CPU
	// DiskLowBytes is the mark of free bytes below which appends stop while reads
	// go on; 0: 5 % of the file system or 2 GiB, the smaller, at least 256 MiB
	// where that is not over a quarter of it; negative: they never stop.
	DiskLowBytes int64 `yaml:"disk_low_bytes"`
	// BallastBytes is the size of DIR/ballast, which is removed when the disk is
	// full so that the log can be opened; 0: 256 MiB, at most a sixteenth of the
	// file system, none for a demonstration log; negative: none.
	BallastBytes int64 `yaml:"ballast_bytes"`
}

// Verification says how often the whole log is read from disk and derived anew.
type Verification struct {
	Period *time.Duration `yaml:"period"` // default 168h; 0: never
}

// VerificationPeriod is the default of verification.period, and its least.
const (
	VerificationPeriod      = 7 * 24 * time.Hour
	LeastVerificationPeriod = time.Hour
)

// Parse reads a configuration. dir is the folder of the file, against which
// relative paths are resolved. The error names every fault.
func Parse(text []byte, dir string) (*Config, error) {
	c, err := decode(text)
	if c == nil {
		return nil, err
	}
	if err := errors.Join(err, c.check()); err != nil {
		return nil, err
	}
	c.resolve(dir)
	return c, nil
}

// decode reads a configuration as it is written. With an error of single keys it
// returns what it could read.
func decode(text []byte) (*Config, error) {
	c := new(Config)
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("configuration is over %d bytes", MaxBytes)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	switch err := d.Decode(c); {
	case errors.Is(err, io.EOF):
		return c, nil
	case err != nil:
		return c, decodeFaults(err)
	}
	if err := d.Decode(new(Config)); !errors.Is(err, io.EOF) {
		return nil, errors.New("configuration holds more than one YAML document")
	}
	return c, nil
}

// decodeFaults turns yaml's errors into one line for each fault.
func decodeFaults(err error) error {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	faults := make([]error, len(typed.Errors))
	for i, text := range typed.Errors {
		text, _, _ = strings.Cut(text, " in type ")
		text = strings.Replace(text, "field ", "unknown key ", 1)
		faults[i] = errors.New(strings.TrimSuffix(text, " not found"))
	}
	return errors.Join(faults...)
}

// resolve makes relative paths relative to dir.
func (c *Config) resolve(dir string) {
	if c.Anchor != "" && !filepath.IsAbs(c.Anchor) {
		c.Anchor = filepath.Join(dir, c.Anchor)
	}
	if c.Witnesses != "" && !filepath.IsAbs(c.Witnesses) {
		c.Witnesses = filepath.Join(dir, c.Witnesses)
	}
	c.People.resolve(dir)
	c.Listeners.resolve(dir)
	for domain, path := range c.Trust {
		if !filepath.IsAbs(path) {
			c.Trust[domain] = filepath.Join(dir, path)
		}
	}
}

// check reports every fault of what was written, before defaults.
func (c *Config) check() error {
	var faults []error
	for _, l := range c.Listen.named() {
		if *l.address == "" {
			continue
		}
		if err := checkAddress(*l.address); err != nil {
			faults = append(faults, fmt.Errorf("listen.%s: %w", l.name, err))
		}
	}
	for _, host := range c.Hosts {
		if host == "" || strings.ContainsAny(host, " /:@") && net.ParseIP(host) == nil {
			faults = append(faults, fmt.Errorf("hosts: %q is neither a name nor an IP address", host))
		}
	}
	for name, allow := range map[string]identity.Allow{
		"ingest": c.Access.Ingest, "query": c.Access.Query, "admin": c.Access.Admin,
	} {
		if err := allow.Check(); err != nil {
			faults = append(faults, fmt.Errorf("access.%s: %w", name, err))
		}
	}
	for domain, path := range c.Trust {
		if path == "" {
			faults = append(faults, fmt.Errorf("trust.%s: names no file", domain))
		}
	}
	for _, r := range c.Revoked {
		if err := r.Check(); err != nil {
			faults = append(faults, err)
		}
	}
	if _, err := c.Log.level(); err != nil {
		faults = append(faults, err)
	}
	if f := c.Log.Format; f != "" && f != "auto" && f != "json" && f != "text" {
		faults = append(faults, fmt.Errorf("log.format: %q is not json, text or auto", f))
	}
	if q := c.Limits.QueueBytes; q != 0 && q < 8<<20 {
		faults = append(faults, fmt.Errorf("limits.queue_bytes: %d is under 8 MiB", q))
	}
	if w := c.Limits.Workers; w < 0 || w > 1024 {
		faults = append(faults, fmt.Errorf("limits.workers: %d is not 0 to 1024", w))
	}
	if p := c.Verification.Period; p != nil && *p != 0 && (*p < LeastVerificationPeriod || *p > 366*24*time.Hour) {
		faults = append(faults, fmt.Errorf("verification.period: %v is not 1h to 8784h, nor 0s for never", *p))
	}
	faults = append(faults, c.People.check()...)
	faults = append(faults, c.Listeners.check()...)
	return errors.Join(append(append(faults, c.Drift.check()...), c.checkWitnesses()...)...)
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is no host:port", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q: %q is no port", address, port)
	}
	return nil
}

func (l Log) level() (slog.Level, error) {
	switch l.Level {
	case "", "info":
		return slog.LevelInfo, nil
	case "debug":
		return slog.LevelDebug, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log.level: %q is not debug, info, warn or error", l.Level)
}

// Handler returns the handler of the program's log on w.
func (l Log) Handler(w io.Writer, terminal bool) slog.Handler {
	level, err := l.level()
	if err != nil {
		level = slog.LevelInfo // check refused it before
	}
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "text" || terminal && l.Format != "json" {
		return slog.NewTextHandler(w, options)
	}
	return slog.NewJSONHandler(w, options)
}
