package drift

import (
	"fmt"
	"slices"
	"strings"
)

// A namespace is what all zones of a scan say together.
type namespace struct {
	zones     []*Zone
	records   map[string][]Record // by name
	wildcards map[string][]Record // by the name that the wildcard is of: `*.example.com` is of example.com
	cuts      map[string]bool     // names delegated to other name servers
	inner     map[string]bool     // names that have a record below them
	servers   map[string]bool     // names of name servers
}

func newNamespace(zones []*Zone) *namespace {
	n := &namespace{zones: zones, records: map[string][]Record{}, wildcards: map[string][]Record{},
		cuts: map[string]bool{}, inner: map[string]bool{}, servers: map[string]bool{}}
	for _, z := range zones {
		for _, r := range z.Records {
			if of, ok := strings.CutPrefix(r.Name, "*."); ok {
				n.wildcards[of] = append(n.wildcards[of], r)
				continue
			}
			n.records[r.Name] = append(n.records[r.Name], r)
			if r.Type == "NS" {
				n.servers[r.Value] = true
			}
			if r.Type == "NS" && r.Name != z.Origin && below(r.Name, z.Origin) {
				n.cuts[r.Name] = true
			}
			for name := r.Name; ; {
				_, rest, ok := strings.Cut(name, ".")
				if !ok || !below(rest, z.Origin) {
					break
				}
				n.inner[rest], name = true, rest
			}
		}
	}
	return n
}

// zoneOf returns the most specific of the zones that a name lies in; nil: it
// lies in none, or in a part that is delegated away.
func (n *namespace) zoneOf(name string) *Zone {
	var best *Zone
	for _, z := range n.zones {
		if below(name, z.Origin) && (best == nil || len(z.Origin) > len(best.Origin)) {
			best = z
		}
	}
	for at, ok := name, best != nil; ok && at != best.Origin; _, at, ok = strings.Cut(at, ".") {
		if n.cuts[at] {
			return nil
		}
	}
	return best
}

// find returns the records of a name, and whether it is only a wildcard that
// gives them. It follows RFC 4592: the closest name that exists decides.
func (n *namespace) find(name string) (records []Record, wildcard bool) {
	if r := n.records[name]; len(r) > 0 || n.inner[name] {
		return r, false
	}
	for _, rest, ok := strings.Cut(name, "."); ok; _, rest, ok = strings.Cut(rest, ".") {
		if w := n.wildcards[rest]; len(w) > 0 {
			return w, true
		}
		if len(n.records[rest]) > 0 || n.inner[rest] {
			return nil, false
		}
	}
	return nil, false
}

// maxChain bounds the aliases that are followed from one name.
const maxChain = 16

// ends returns where a name leads to inside the zones: addresses, and the
// outside names that aliases point to.
func (n *namespace) ends(name string) []string {
	var out []string
	for range maxChain {
		records, _ := n.find(name)
		next := ""
		for _, r := range records {
			switch r.Type {
			case "A", "AAAA":
				out = append(out, r.Value)
			case "CNAME", "ALIAS":
				if n.zoneOf(r.Value) == nil {
					out = append(out, r.Value)
				} else {
					next = r.Value
				}
			}
		}
		if name = next; name == "" {
			break
		}
	}
	return out
}

// Advice of checks on names.
const (
	adviceWildcard = "replace the wildcard by the exact names that are in use; the map takes no wildcards"
	adviceUnmapped = "add the name to the `dns` of its domain, or remove the record"
	adviceVanished = "remove the name from the map, or restore its record"
	adviceDangling = "remove the record, or claim its target again: who registers the target takes the name over"
	adviceShared   = "give each tier addresses of its own"
	adviceAsk      = "make it reachable from here, and scan again"
)

// compareZones holds zones against the map.
// resolved tells that a resolver is asked where outside aliases lead to.
func compareZones(d *declared, n *namespace, resolved bool) []Difference {
	var out []Difference
	for _, z := range n.zones {
		out = append(out, compareZone(d, n, z, resolved)...)
	}
	for _, name := range d.dnsNames() {
		id := d.dns[name]
		z := n.zoneOf(name)
		if z == nil {
			continue
		}
		records, wildcard := n.find(name)
		switch {
		case len(records) == 0:
			out = append(out, Difference{"dns-vanished", Medium, id, "", name, "the map declares it, and zone " + z.Origin + " has no record of it", adviceVanished})
		case wildcard:
			out = append(out, Difference{"dns-vanished", Medium, id, "", name, "the map declares it, and zone " + z.Origin + " has it only by a wildcard", adviceVanished})
		}
	}
	return out
}

// compareZone looks for wildcards, for names that the map does not know, and for
// aliases that lead nowhere inside the zones.
func compareZone(d *declared, n *namespace, z *Zone, resolved bool) []Difference {
	var out, unmapped []Difference
	known := false
	seen := map[string]bool{}
	for _, r := range z.Records {
		id := d.dns[r.Name]
		known = known || id != ""
		if strings.HasPrefix(r.Name, "*.") && reaches(r) {
			out = append(out, wildcardRecord(d, r))
		} else if id == "" && reaches(r) && !seen[r.Name] && !strings.HasPrefix(r.Name, "_") && !n.servers[r.Name] {
			seen[r.Name] = true
			unmapped = append(unmapped, Difference{"dns-unmapped", Medium, "", "", r.Name,
				fmt.Sprintf("zone %s has it (%s), and no domain declares it", z.Origin, r.Type), adviceUnmapped})
		}
		if r.Type == "CNAME" || r.Type == "ALIAS" {
			out = append(out, danglingRecord(d, n, r, resolved)...)
		}
	}
	if !known && len(unmapped) > 1 {
		unmapped = []Difference{{"dns-unmapped", Medium, "", "", z.Origin,
			fmt.Sprintf("the zone has %d names with addresses, and no domain declares one of them", len(unmapped)),
			"add its names to the `dns` of their domains, or leave the zone out of the scan"}}
	}
	return append(out, unmapped...)
}

// reaches tells whether a record leads a client somewhere.
func reaches(r Record) bool { return slices.Contains([]string{"A", "AAAA", "CNAME", "ALIAS"}, r.Type) }

func wildcardRecord(d *declared, r Record) Difference {
	detail := "the " + r.Type + " record answers for every name that has no record of its own"
	of := strings.TrimPrefix(r.Name, "*.")
	domains := d.under[of]
	if len(domains) > 0 {
		detail += ", beside names of " + some(domains, 4)
	}
	return Difference{"dns-wildcard", High, "", "", r.Name, detail, adviceWildcard}
}

// danglingRecord judges where an alias points to without asking anybody.
func danglingRecord(d *declared, n *namespace, r Record, resolved bool) []Difference {
	id := d.dns[r.Name]
	if z := n.zoneOf(r.Value); z != nil {
		if records, _ := n.find(r.Value); len(records) == 0 {
			return []Difference{{"dns-dangling", High, id, "", r.Name, r.Type + " points to " + r.Value + ", which zone " + z.Origin + " does not have", adviceDangling}}
		}
		return nil
	}
	s, ok := claimable(r.Value)
	if !ok || resolved && !s.always {
		return nil
	}
	why := ": without a resolver it is not known whether somebody owns it at " + s.name
	if s.always {
		why = ": " + s.name + " answers there also when nobody owns it"
	}
	return []Difference{{"dns-dangling", Medium, id, "", r.Name, r.Type + " points to " + r.Value + why,
		"see that the target still belongs to the firm; else remove the record"}}
}

// compareEnds looks for two tiers behind one address or one outside name. ends
// says where each declared name leads to.
func compareEnds(d *declared, ends map[string][]string) []Difference {
	behind := map[string]map[string]string{} // address or name: domain: its first name
	for _, name := range d.dnsNames() {
		for _, end := range ends[name] {
			if behind[end] == nil {
				behind[end] = map[string]string{}
			}
			if id := d.dns[name]; behind[end][id] == "" {
				behind[end][id] = name
			}
		}
	}
	var out []Difference
	for end, names := range behind {
		for x, a := range names {
			for y, b := range names {
				if severity := d.betweenTiers(x, y); x < y && severity != "" {
					out = append(out, Difference{"dns-shared-address", severity, x, y, end,
						fmt.Sprintf("%s of %s and %s of %s lead to it", a, d.named(x), b, d.named(y)), adviceShared})
				}
			}
		}
	}
	return out
}
