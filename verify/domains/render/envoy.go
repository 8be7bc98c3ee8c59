package render

import (
	"slices"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// The parts of envoy.extensions.filters.http.rbac.v3.RBAC that are written.
type (
	envoyFilter struct {
		Name   string    `yaml:"name"`
		Config envoyRBAC `yaml:"typed_config"`
	}
	envoyRBAC struct {
		Type   string      `yaml:"@type"`
		Rules  *envoyRules `yaml:"rules,omitempty"`
		Shadow *envoyRules `yaml:"shadow_rules,omitempty"`
		Prefix string      `yaml:"shadow_rules_stat_prefix,omitempty"`
	}
	envoyRules struct {
		Action   string                 `yaml:"action"`
		Policies map[string]envoyPolicy `yaml:"policies"`
	}
	envoyPolicy struct {
		Permissions []envoyPermission `yaml:"permissions"`
		Principals  []envoyPrincipal  `yaml:"principals"`
	}
	envoyPermission struct {
		Any     bool         `yaml:"any,omitempty"`
		And     *envoySet    `yaml:"and_rules,omitempty"`
		Header  *envoyHeader `yaml:"header,omitempty"`
		URLPath *envoyPath   `yaml:"url_path,omitempty"`
	}
	envoySet struct {
		Rules []envoyPermission `yaml:"rules"`
	}
	envoyHeader struct {
		Name  string     `yaml:"name"`
		Match envoyMatch `yaml:"string_match"`
	}
	envoyPath struct {
		Path envoyMatch `yaml:"path"`
	}
	envoyMatch struct {
		Exact  string `yaml:"exact,omitempty"`
		Prefix string `yaml:"prefix,omitempty"`
	}
	envoyPrincipal struct {
		Authenticated envoyAuthenticated `yaml:"authenticated"`
	}
	envoyAuthenticated struct {
		Name envoyMatch `yaml:"principal_name"`
	}
)

// Names of the policies that are no flow. A flow's id holds no parenthesis.
const (
	internalPolicy = "(internal)"
	observedPolicy = "(observed) "
)

// Envoy returns an HTTP filter (envoy.filters.http.rbac, an item of http_filters)
// for each domain that a flow reaches, ascending by domain. It stands where the
// domain's mutual TLS ends: principals are the URI SANs of peers' certificates.
//
//	name: envoy.filters.http.rbac
//	typed_config:
//	  '@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
//	  rules:
//	    action: ALLOW
//	    policies:
//	      web-to-quotes:
//	        permissions:
//	          - and_rules:
//	              rules:
//	                - header: {name: ':method', string_match: {exact: GET}}
//	                - url_path: {path: {prefix: /quotes}}
//	        principals:
//	          - authenticated: {principal_name: {prefix: spiffe://web/}}
//
// An action `op:GET /quotes*` is a method and a path, `op:/pkg.Service/Method` a
// path, matched without query; the connection manager must normalize paths
// (normalize_path, merge_slashes) before. Any other action names no HTTP
// request, and the flow then permits all requests of its source, which a comment
// says.
func Envoy(doc *daybookv1.MapDocument, o Options) []File {
	targets := targetsOf(doc, o)
	out := make([]File, 0, len(targets))
	for _, t := range targets {
		n := head("Envoy HTTP filter", doc, t)
		for _, f := range t.flows {
			n.flow(f, t)
			if _, vague := permissions(f); vague != "" && vague != "any" {
				n.add("flow %s: action %s names no HTTP request; all requests from %s pass.", f.Id, vague, f.From)
			}
		}
		out = append(out, file("envoy", t.Id, n, envoyOf(t)))
	}
	return out
}

// envoyOf returns the filter of a domain.
func envoyOf(t *target) envoyFilter {
	filter := envoyFilter{Name: "envoy.filters.http.rbac", Config: envoyRBAC{
		Type: "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"}}
	observed := t.observed()
	if t.enforced {
		rules := newRules(t)
		for _, f := range t.flows {
			if enforces(f) {
				rules.Policies[f.Id] = policyOf(f, t)
			}
		}
		for _, source := range observed {
			rules.Policies[observedPolicy+source] = envoyPolicy{Permissions: []envoyPermission{{Any: true}}, Principals: principals(t.sources[source])}
		}
		filter.Config.Rules = rules
	}
	if len(observed) > 0 {
		shadow := newRules(t)
		for _, f := range t.flows {
			shadow.Policies[f.Id] = policyOf(f, t)
		}
		filter.Config.Shadow, filter.Config.Prefix = shadow, "daybook_"
	}
	return filter
}

// newRules returns rules that let a domain reach itself.
func newRules(t *target) *envoyRules {
	return &envoyRules{Action: "ALLOW", Policies: map[string]envoyPolicy{
		internalPolicy: {Permissions: []envoyPermission{{Any: true}}, Principals: principals(t.Domain)},
	}}
}

// policyOf returns the policy of a flow, as declared.
func policyOf(f *daybookv1.Flow, t *target) envoyPolicy {
	may, _ := permissions(f)
	return envoyPolicy{Permissions: may, Principals: principals(t.sources[f.From])}
}

// principals are the peers that are a domain.
func principals(d *daybookv1.Domain) []envoyPrincipal {
	var out []envoyPrincipal
	for _, trust := range trustDomains(d) {
		out = append(out, envoyPrincipal{envoyAuthenticated{envoyMatch{Prefix: "spiffe://" + trust + "/"}}})
	}
	return out
}

// permissions returns what a flow permits, and the first of its actions that
// names no HTTP request, for which all are permitted.
func permissions(f *daybookv1.Flow) ([]envoyPermission, string) {
	var out []envoyPermission
	for _, action := range f.Actions {
		p, ok := permission(action)
		if !ok {
			return []envoyPermission{{Any: true}}, action
		}
		out = append(out, p)
	}
	if out == nil {
		return []envoyPermission{{Any: true}}, "any"
	}
	return out, ""
}

// permission returns the request that an action names.
func permission(action string) (envoyPermission, bool) {
	op, ok := strings.CutPrefix(action, "op:")
	if !ok {
		return envoyPermission{}, false
	}
	method, path := "", op
	if !strings.HasPrefix(op, "/") {
		if method, path, ok = strings.Cut(op, " "); !ok || !isMethod(method) {
			return envoyPermission{}, false
		}
	}
	match := envoyMatch{Exact: path}
	if prefix, ok := strings.CutSuffix(path, "*"); ok {
		match = envoyMatch{Prefix: prefix}
	}
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?# ") {
		return envoyPermission{}, false // url_path is matched without query and fragment
	}
	at := envoyPermission{URLPath: &envoyPath{Path: match}}
	if method == "" {
		return at, true
	}
	by := envoyPermission{Header: &envoyHeader{Name: ":method", Match: envoyMatch{Exact: method}}}
	return envoyPermission{And: &envoySet{Rules: []envoyPermission{by, at}}}, true
}

// isMethod reports whether s looks like an HTTP method.
func isMethod(s string) bool {
	return s != "" && !slices.ContainsFunc([]byte(s), func(c byte) bool { return c < 'A' || c > 'Z' })
}
