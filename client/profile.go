package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"
)

// ProfileVariable names the environment variable that holds the path of the
// profile where none is given.
const ProfileVariable = "DAYBOOK_PROFILE"

// maxProfile bounds a profile and an addresses file, in bytes.
const maxProfile = 1 << 20

// Profile tells a client where the log is and who the client is:
//
//	ingest: 127.0.0.1:7401
//	query: 127.0.0.1:7402
//	query_http: 127.0.0.1:7403
//	admin: 127.0.0.1:7404
//	operations: 127.0.0.1:7406
//	ca: ca/bundle.pem
//	certificate: clients/producer.pem
//	key: clients/producer.key
//	vkey: demo.invalid/log-1a2b3c4d+5e6f7a8b+AZ...
//	state: state
//	silence_limit: 60s    # see Config.SilenceLimit; may be left out
//	heartbeat_every: 20s  # see Config.HeartbeatEvery; may be left out
//
// Relative paths are relative to the profile. `addresses: addresses.json` may
// stand in place of the addresses: a JSON file with ingest, query, query_http,
// admin and operations, as the server writes it; an address in the profile
// itself wins.
// Unknown keys are errors.
type Profile struct {
	// Ingest is the host:port of the ingest listener.
	Ingest string `yaml:"ingest"`
	// Query is the host:port of the query listener.
	Query string `yaml:"query"`
	// QueryHTTP is the host:port of REST and the console.
	QueryHTTP string `yaml:"query_http"`
	// Admin is the host:port of the admin listener.
	Admin string `yaml:"admin"`
	// Operations is the host:port of the operations listener.
	Operations string `yaml:"operations"`
	// CA is the path of the PEM bundle the server's certificate is checked with.
	CA string `yaml:"ca"`
	// Certificate is the path of the client's PEM chain, leaf first.
	Certificate string `yaml:"certificate"`
	// Key is the path of the client's PEM private key.
	Key string `yaml:"key"`
	// VKey is the log's verifier key (c2sp signed-note).
	VKey string `yaml:"vkey"`
	// State is the directory where the client keeps its newest checkpoint.
	State string `yaml:"state"`
	// SilenceLimit is how long a run may be silent, such as `60s`.
	SilenceLimit time.Duration `yaml:"silence_limit"`
	// HeartbeatEvery is how often an open run sends a heartbeat, such as `20s`.
	HeartbeatEvery time.Duration `yaml:"heartbeat_every"`
	// Addresses is the path of a JSON file that holds the addresses.
	Addresses string `yaml:"addresses"`

	// ingestFile and queryFile say that the address came from that file.
	ingestFile, queryFile bool
}

// LoadProfile reads a profile; with an empty path the one that $DAYBOOK_PROFILE
// names. The paths in the result are usable from the working directory.
func LoadProfile(path string) (*Profile, error) {
	if path == "" {
		path = os.Getenv(ProfileVariable)
	}
	if path == "" {
		return nil, ErrNoProfile
	}
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("reading profile: %w", err)
	}
	p, err := ParseProfile(text)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	for _, f := range []*string{&p.CA, &p.Certificate, &p.Key, &p.State, &p.Addresses} {
		if *f != "" && !filepath.IsAbs(*f) {
			*f = filepath.Join(dir, *f)
		}
	}
	if p.Addresses != "" {
		if err := p.readAddresses(); err != nil {
			return nil, fmt.Errorf("profile %s: %w", path, err)
		}
	}
	return p, nil
}

// ErrNoProfile says that no profile was named.
var ErrNoProfile = errors.New("no profile: give --profile FILE or set $" + ProfileVariable)

// ParseProfile parses the text of a profile. It reads no other file: paths
// stay as written.
func ParseProfile(text []byte) (*Profile, error) {
	var p Profile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("empty")
		}
		return nil, fmt.Errorf("parsing yaml: %w", err)
	}
	if err := d.Decode(new(Profile)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one yaml document")
	}
	return &p, nil
}

// readAddresses fills the addresses that the profile leaves out. A server that
// has not started yet has not written the file: that is an error only once an
// address is needed, and Config.validate names it then.
func (p *Profile) readAddresses() error {
	text, err := readBounded(p.Addresses)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading addresses: %w", err)
	}
	var found map[string]string
	if err := json.Unmarshal(text, &found); err != nil {
		return fmt.Errorf("parsing %s: %w", p.Addresses, err)
	}
	p.ingestFile, p.queryFile = p.Ingest == "", p.Query == ""
	for name, field := range map[string]*string{
		"ingest": &p.Ingest, "query": &p.Query, "query_http": &p.QueryHTTP, "admin": &p.Admin, "operations": &p.Operations,
	} {
		if *field == "" {
			*field = found[name]
		}
	}
	return nil
}

// Config makes a configuration of the profile. Addresses that came from the
// addresses file are read from it again at each connection.
func (p *Profile) Config() Config {
	c := Config{
		Ingest: p.Ingest, Query: p.Query, Addresses: p.Addresses,
		CA: p.CA, Certificate: p.Certificate, Key: p.Key,
		VKey: p.VKey, State: p.State,
		SilenceLimit: p.SilenceLimit, HeartbeatEvery: p.HeartbeatEvery,
	}
	if p.ingestFile {
		c.Ingest = ""
	}
	if p.queryFile {
		c.Query = ""
	}
	return c
}

// readBounded reads a file of at most maxProfile bytes.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxProfile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxProfile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxProfile)
	}
	return text, nil
}
