package client_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/daybook-ledger/daybook/client"
)

const profileText = `ingest: 127.0.0.1:7401
query: 127.0.0.1:7402
query_http: 127.0.0.1:7403
admin: 127.0.0.1:7404
ca: ca/bundle.pem
certificate: /etc/daybook/producer.pem
key: clients/producer.key
vkey: demo.invalid/log+12345678+AZ
state: state
`

// writeFiles writes files into a new directory.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestLoadProfile(t *testing.T) {
	dir := writeFiles(t, map[string]string{"profile.yaml": profileText})
	path := filepath.Join(dir, "profile.yaml")
	p, err := client.LoadProfile(path)
	must(t, err)
	want := &client.Profile{
		Ingest: "127.0.0.1:7401", Query: "127.0.0.1:7402", QueryHTTP: "127.0.0.1:7403", Admin: "127.0.0.1:7404",
		CA: filepath.Join(dir, "ca/bundle.pem"), Certificate: "/etc/daybook/producer.pem",
		Key: filepath.Join(dir, "clients/producer.key"), VKey: "demo.invalid/log+12345678+AZ", State: filepath.Join(dir, "state"),
	}
	if diff := cmp.Diff(want, p, cmpopts.IgnoreUnexported(client.Profile{})); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
	t.Setenv(client.ProfileVariable, path)
	if p, err = client.LoadProfile(""); err != nil || p.Ingest != want.Ingest {
		t.Errorf("profile of $%s: %v", client.ProfileVariable, err)
	}
	t.Setenv(client.ProfileVariable, "")
	if _, err = client.LoadProfile(""); err != client.ErrNoProfile {
		t.Errorf("no profile: %v", err)
	}
}

// TestProfileAddresses: addresses come from the file the server writes, except
// those the profile names; the client reads that file again itself.
func TestProfileAddresses(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"profile.yaml":   "query: 10.0.0.1:7402\naddresses: addresses.json\n",
		"addresses.json": `{"ingest":"127.0.0.1:1","query":"127.0.0.1:2","query_http":"127.0.0.1:3","admin":"127.0.0.1:4","public":"127.0.0.1:5"}`,
	})
	p, err := client.LoadProfile(filepath.Join(dir, "profile.yaml"))
	must(t, err)
	if diff := cmp.Diff([]string{"127.0.0.1:1", "10.0.0.1:7402", "127.0.0.1:3", "127.0.0.1:4"}, []string{p.Ingest, p.Query, p.QueryHTTP, p.Admin}); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	c := p.Config()
	if diff := cmp.Diff([]string{"", "10.0.0.1:7402", filepath.Join(dir, "addresses.json")}, []string{c.Ingest, c.Query, c.Addresses}); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	must(t, os.Remove(filepath.Join(dir, "addresses.json")))
	if p, err = client.LoadProfile(filepath.Join(dir, "profile.yaml")); err != nil || p.Ingest != "" {
		t.Errorf("before the server's first start: %v, %v", p, err)
	}
}

func TestBadProfiles(t *testing.T) {
	for name, text := range map[string]string{
		"empty":         "",
		"unknown key":   profileText + "ingress: 127.0.0.1:1\n",
		"key twice":     profileText + "ca: other.pem\n",
		"not yaml":      "\t{",
		"a list":        "- ca\n",
		"two documents": profileText + "---\n" + profileText,
		"too large":     "ca: " + strings.Repeat("x", 1<<20),
	} {
		dir := writeFiles(t, map[string]string{"profile.yaml": text})
		if _, err := client.LoadProfile(filepath.Join(dir, "profile.yaml")); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	dir := writeFiles(t, map[string]string{"profile.yaml": "addresses: a.json\n", "a.json": "{"})
	if _, err := client.LoadProfile(filepath.Join(dir, "profile.yaml")); err == nil {
		t.Error("accepted a profile with damaged addresses")
	}
	if _, err := client.LoadProfile(filepath.Join(dir, "missing.yaml")); err == nil {
		t.Error("loaded a file that does not exist")
	}
}

// TestConfigNamesEveryFault: all faults at once, not the first.
func TestConfigNamesEveryFault(t *testing.T) {
	_, err := client.Dial(client.Config{Ingest: "nowhere", Connections: 5000, Software: strings.Repeat("s", 129), Patience: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"ca:", "certificate:", "key:", "vkey:", "ingest:", "connections:", "software:", "patience:"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("error does not name %s\n%v", name, err)
		}
	}
}

func TestDialRefusesWhatCannotWork(t *testing.T) {
	l := newLiar(t)
	for name, change := range map[string]func(*client.Config){
		"no certificate": func(c *client.Config) { c.Certificate = filepath.Join(l.dir, "none.pem") },
		"another key":    func(c *client.Config) { c.Key = filepath.Join(l.dir, "ca.pem") },
		"no ca":          func(c *client.Config) { c.CA = c.Key },
		"bad vkey":       func(c *client.Config) { c.VKey = "example.com/log+00000000+AAAA" },
		"state a file":   func(c *client.Config) { c.State = c.CA },
	} {
		config := l.config()
		change(&config)
		if c, err := client.Dial(config); err == nil {
			t.Errorf("%s: dialed", name)
			must(t, c.Close())
		}
	}
}

// FuzzParseProfile: whatever is accepted survives being written as parsed.
func FuzzParseProfile(f *testing.F) {
	f.Add([]byte(profileText))
	f.Add([]byte("addresses: a.json\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := client.ParseProfile(text)
		if err != nil {
			return
		}
		c := p.Config()
		if c.Ingest != p.Ingest || c.VKey != p.VKey || c.Key != p.Key {
			t.Errorf("configuration %+v of profile %+v", c, p)
		}
	})
}
