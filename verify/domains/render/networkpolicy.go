package render

import (
	"maps"
	"slices"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// DomainLabel is the label of namespaces and pods that names their domain.
const DomainLabel = "daybook.dev/domain"

// The parts of a networking.k8s.io/v1 NetworkPolicy that are written.
type (
	networkPolicy struct {
		APIVersion string      `yaml:"apiVersion"`
		Kind       string      `yaml:"kind"`
		Metadata   metadata    `yaml:"metadata"`
		Spec       networkSpec `yaml:"spec"`
	}
	metadata struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	}
	networkSpec struct {
		PodSelector selector      `yaml:"podSelector"`
		PolicyTypes []string      `yaml:"policyTypes"`
		Ingress     []ingressRule `yaml:"ingress"`
	}
	ingressRule struct {
		From []peer `yaml:"from"`
	}
	peer struct {
		Namespace selector `yaml:"namespaceSelector"`
		Pod       selector `yaml:"podSelector"`
	}
	selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
)

// NetworkPolicies returns a NetworkPolicy for each domain that an enforced flow
// reaches, ascending by domain: its pods accept connections from pods of their
// own domain and of the sources of its flows, and no others. A pod is of a domain
// where both it and its namespace carry the label daybook.dev/domain, so that who
// may make pods in one namespace cannot speak for another domain. The policy
// names no namespace: apply it in each that holds pods of the domain.
//
//	kind: NetworkPolicy
//	spec:
//	  podSelector: {matchLabels: {daybook.dev/domain: market-data}}
//	  policyTypes: [Ingress]
//	  ingress:
//	    - from:
//	        - namespaceSelector: {matchLabels: {daybook.dev/domain: web}}
//	          podSelector: {matchLabels: {daybook.dev/domain: web}}
//
// What the flow permits a source to do is not the network's to enforce.
func NetworkPolicies(doc *daybookv1.MapDocument, o Options) []File {
	var out []File
	for _, t := range targetsOf(doc, o) {
		if !t.enforced {
			continue
		}
		n := head("Kubernetes NetworkPolicy", doc, t)
		for _, f := range t.flows {
			n.flow(f, t)
		}
		out = append(out, file("networkpolicy", t.Id, n, policyFor(t)))
	}
	return out
}

// policyFor returns the policy of a domain.
func policyFor(t *target) networkPolicy {
	sources := append(slices.Collect(maps.Keys(t.sources)), t.Id)
	slices.Sort(sources)
	var from []peer
	for _, id := range sources {
		from = append(from, peer{Namespace: labelled(id), Pod: labelled(id)})
	}
	return networkPolicy{
		APIVersion: "networking.k8s.io/v1",
		Kind:       "NetworkPolicy",
		Metadata:   metadata{Name: "daybook-" + t.Id, Labels: map[string]string{"app.kubernetes.io/managed-by": "daybook"}},
		Spec: networkSpec{
			PodSelector: labelled(t.Id),
			PolicyTypes: []string{"Ingress"},
			Ingress:     []ingressRule{{From: from}},
		},
	}
}

// labelled selects what carries the label of a domain.
func labelled(id string) selector { return selector{MatchLabels: map[string]string{DomainLabel: id}} }
