package render_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
	"github.com/daybook-ledger/daybook/verify/domains/render"
)

// update rewrites the golden files: commit only a difference you can explain.
var update = flag.Bool("update", false, "rewrite the files in testdata")

// load reads the map of testdata.
func load(t *testing.T) *daybookv1.MapDocument {
	t.Helper()
	text, err := os.ReadFile("testdata/map.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := domains.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestGolden(t *testing.T) {
	doc := load(t)
	files := append(render.Envoy(doc, render.Options{}), render.NetworkPolicies(doc, render.Options{})...)
	files = append(files, render.File{Name: "map.json", Data: render.JSON(doc)})
	want := []string{"map.yaml"}
	for _, f := range files {
		want = append(want, f.Name)
		path := filepath.Join("testdata", f.Name)
		if *update {
			if err := os.WriteFile(path, f.Data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(string(golden), string(f.Data)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.Name, diff)
		}
	}
	found, err := filepath.Glob("testdata/*")
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("files of testdata (-rendered +found):\n%s", diff)
	}
	for i, f := range append(render.Envoy(load(t), render.Options{}), render.NetworkPolicies(load(t), render.Options{})...) {
		if !bytes.Equal(f.Data, files[i].Data) {
			t.Errorf("%s differs the second time", f.Name)
		}
	}
}

// TestAt leaves out what is not valid.
func TestAt(t *testing.T) {
	doc := load(t)
	for _, c := range []struct {
		at   string
		want bool
	}{{"2025-12-31T23:59:59Z", false}, {"2026-01-01T00:00:00Z", true}, {"2026-12-31T23:59:59Z", true}, {"2027-01-01T00:00:00Z", false}} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range append(render.Envoy(doc, render.Options{At: at}), render.NetworkPolicies(doc, render.Options{At: at})...) {
			if f.Domain == "market-data" && strings.Contains(string(f.Data), "desk") != c.want {
				t.Errorf("at %s, %s:\n%s", c.at, f.Name, f.Data)
			}
		}
	}
}

// TestJSON: the JSON is a map file too.
func TestJSON(t *testing.T) {
	doc := load(t)
	text := render.JSON(doc)
	if !json.Valid(text) {
		t.Fatal("not JSON")
	}
	again, err := domains.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	again.Yaml = doc.Yaml
	if changes := domains.Diff(doc, again); len(changes) > 0 {
		t.Errorf("%v", changes)
	}
}

// strictly decodes YAML into a value that has all keys there may be.
func strictly(t *testing.T, f render.File, value any) {
	t.Helper()
	dec := yaml.NewDecoder(bytes.NewReader(f.Data))
	dec.KnownFields(true)
	if err := dec.Decode(value); err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Fatalf("%s: more than one document: %v", f.Name, err)
	}
}

// k8sPolicy has the keys of a networking.k8s.io/v1 NetworkPolicy, as its API
// reference lists them.
type k8sPolicy struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name, Namespace     string
		Labels, Annotations map[string]string
	}
	Spec struct {
		PodSelector k8sSelector `yaml:"podSelector"`
		PolicyTypes []string    `yaml:"policyTypes"`
		Ingress     []struct {
			From  []k8sPeer
			Ports []any
		}
		Egress []any
	}
}

type k8sPeer struct {
	NamespaceSelector *k8sSelector `yaml:"namespaceSelector"`
	PodSelector       *k8sSelector `yaml:"podSelector"`
	IPBlock           any          `yaml:"ipBlock"`
}

type k8sSelector struct {
	MatchLabels      map[string]string `yaml:"matchLabels"`
	MatchExpressions []any             `yaml:"matchExpressions"`
}

func TestNetworkPolicyStructure(t *testing.T) {
	want := map[string][]string{"market-data": {"desk", "market-data", "web"}, "prod.db": {"desk", "prod.db", "web"}}
	files := render.NetworkPolicies(load(t), render.Options{})
	if len(files) != len(want) {
		t.Errorf("%d policies, want %d: none where nothing is enforced", len(files), len(want))
	}
	for _, f := range files {
		var p k8sPolicy
		strictly(t, f, &p)
		if p.APIVersion != "networking.k8s.io/v1" || p.Kind != "NetworkPolicy" || p.Metadata.Name != "daybook-"+f.Domain ||
			p.Spec.PodSelector.MatchLabels[render.DomainLabel] != f.Domain || !slices.Equal(p.Spec.PolicyTypes, []string{"Ingress"}) || len(p.Spec.Ingress) != 1 {
			t.Errorf("%s: %+v", f.Name, p)
			continue
		}
		var from []string
		for _, peer := range p.Spec.Ingress[0].From {
			if peer.NamespaceSelector == nil || peer.PodSelector == nil || !cmp.Equal(peer.NamespaceSelector, peer.PodSelector) {
				t.Errorf("%s: peer %+v", f.Name, peer)
				continue
			}
			from = append(from, peer.PodSelector.MatchLabels[render.DomainLabel])
		}
		if !slices.Equal(from, want[f.Domain]) {
			t.Errorf("%s lets in %v, want %v", f.Name, from, want[f.Domain])
		}
	}
}

// The keys of envoy.extensions.filters.http.rbac.v3.RBAC and of
// envoy.config.rbac.v3, as their protos name them; the oneofs are checked.
type (
	rbacFilter struct {
		Name   string
		Config struct {
			Type   string     `yaml:"@type"`
			Rules  *rbacRules `yaml:"rules"`
			Shadow *rbacRules `yaml:"shadow_rules"`
			Prefix string     `yaml:"shadow_rules_stat_prefix"`
			Track  bool       `yaml:"track_per_rule_stats"`
		} `yaml:"typed_config"`
	}
	rbacRules struct {
		Action   string
		Policies map[string]struct {
			Permissions []rbacPermission
			Principals  []struct {
				Authenticated *struct {
					Name rbacMatch `yaml:"principal_name"`
				}
			}
		}
	}
	rbacPermission struct {
		And *struct {
			Rules []rbacPermission
		} `yaml:"and_rules"`
		Any    *bool
		Header *struct {
			Name  string
			Match rbacMatch `yaml:"string_match"`
		}
		URLPath *struct{ Path rbacMatch } `yaml:"url_path"`
	}
	rbacMatch struct{ Exact, Prefix, Suffix, Contains string }
)

// check counts the rule that a permission sets: exactly one, as the oneof has it.
func (p rbacPermission) check(t *testing.T, name string) {
	t.Helper()
	set := 0
	if p.Any != nil && *p.Any {
		set++
	}
	if p.And != nil && len(p.And.Rules) > 0 {
		set++
		for _, r := range p.And.Rules {
			r.check(t, name)
		}
	}
	if p.Header != nil && p.Header.Name == ":method" && p.Header.Match.Exact != "" {
		set++
	}
	if p.URLPath != nil && (p.URLPath.Path.Exact != "") != (p.URLPath.Path.Prefix != "") {
		set++
	}
	if set != 1 {
		t.Errorf("%s: permission %+v sets %d rules", name, p, set)
	}
}

func TestEnvoyStructure(t *testing.T) {
	type policies struct{ rules, shadow string }
	want := map[string]policies{
		"market-data": {"(internal) desk-to-quotes web-to-quotes", ""},
		"prod.db":     {"(internal) (observed) web desk-to-db", "(internal) desk-to-db web-to-db"},
		"test-db":     {"", "(internal) copy"},
	}
	files := render.Envoy(load(t), render.Options{})
	if len(files) != len(want) {
		t.Errorf("%d filters, want %d", len(files), len(want))
	}
	for _, f := range files {
		var filter rbacFilter
		strictly(t, f, &filter)
		if filter.Name != "envoy.filters.http.rbac" || filter.Config.Type != "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC" {
			t.Errorf("%s: %q, %q", f.Name, filter.Name, filter.Config.Type)
		}
		if got := (policies{names(t, f.Name, filter.Config.Rules), names(t, f.Name, filter.Config.Shadow)}); got != want[f.Domain] {
			t.Errorf("%s has policies %q, want %q", f.Name, got, want[f.Domain])
		}
	}
}

// names checks rules and returns the names of their policies.
func names(t *testing.T, file string, rules *rbacRules) string {
	t.Helper()
	if rules == nil {
		return ""
	}
	if rules.Action != "ALLOW" {
		t.Errorf("%s: action %q", file, rules.Action)
	}
	var out []string
	for name, p := range rules.Policies {
		out = append(out, name)
		if len(p.Permissions) == 0 || len(p.Principals) == 0 {
			t.Errorf("%s: policy %s is empty", file, name)
		}
		for _, may := range p.Permissions {
			may.check(t, file+" "+name)
		}
		for _, who := range p.Principals {
			if who.Authenticated == nil || !strings.HasPrefix(who.Authenticated.Name.Prefix, "spiffe://") || !strings.HasSuffix(who.Authenticated.Name.Prefix, "/") {
				t.Errorf("%s: policy %s has principal %+v", file, name, who)
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
