package domains

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/daybook-ledger/daybook/verify"
)

// The functions that are an interface of their own people. Domains of different
// ones share nothing that Parse can see.
const (
	BrokerInterface     = "broker-interface"
	CustomerInterface   = "customer-interface"
	AdminInterface      = "admin-interface"
	ComplianceInterface = "compliance-interface"
)

// interfaces are the functions whose domains are kept apart.
var interfaces = []string{AdminInterface, BrokerInterface, ComplianceInterface, CustomerInterface}

// Bounds of a map file's values.
const (
	minSilence  = time.Second // as a run's limit
	maxSilence  = 31 * 24 * time.Hour
	minClock    = time.Microsecond
	maxClock    = time.Minute
	maxUnused   = 3650 // days
	firstYear   = 2000 // of a flow's validity
	lastYear    = 2200
	opPrefix    = "op:"
	anyAction   = "any"
	spiffeStart = "spiffe://"
)

// checkID returns what is wrong with the id of a domain or a flow: it is made of
// labels as DNS names are, so that it can be a trust domain, a name and a label
// in other systems.
func checkID(s string) string {
	for i := range len(s) {
		if c := s[i]; !alnum(c) && c != '.' && c != '-' {
			return fmt.Sprintf("%s is no id: %q is none of a-z, 0-9, dot and dash", quote(s), firstRune(s[i:]))
		}
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || !alnum(label[0]) || !alnum(label[len(label)-1]) {
			return fmt.Sprintf("%s is no id: it, and what stands between dots, begins and ends with a letter or a digit", quote(s))
		}
	}
	return ""
}

// checkDomainID returns what is wrong with the id of a domain.
func checkDomainID(s string) string {
	if wrong := checkReserved(s); wrong != "" {
		return wrong
	}
	return checkID(s)
}

// checkAlias returns what is wrong with a further name of a domain.
func checkAlias(s string) string {
	if strings.HasSuffix(s, ".") {
		return fmt.Sprintf("%s ends with a dot; write it without: it means both", quote(s))
	}
	return checkReserved(s)
}

// checkReserved refuses the names that events use for what they do not know.
func checkReserved(s string) string {
	if f := fold(s); f == "unknown" || f == "anonymous" || s[0] == '?' {
		return fmt.Sprintf("%s is reserved for events that do not know better", quote(s))
	}
	return ""
}

// checkPersonID returns what is wrong with the id of a person.
func checkPersonID(s string) string {
	for i := range len(s) {
		if c := s[i]; !alnum(lower(c)) && (i == 0 || !strings.ContainsRune("._@+-", rune(c))) {
			return fmt.Sprintf("%s is no person's id: letters, digits and . _ @ + -, a letter or digit first", quote(s))
		}
	}
	return ""
}

// checkIdentity returns what is wrong with a name under which a person acts.
func checkIdentity(s string) string {
	switch {
	case strings.HasPrefix(s, spiffeStart):
		return checkSPIFFE(s)
	case strings.HasPrefix(s, "http:"):
		return "an OIDC issuer is an https URL"
	case strings.HasPrefix(s, "https:"):
		issuer, subject, ok := strings.Cut(s, "#")
		if !ok || subject == "" {
			return "want <OIDC issuer>#<subject>"
		}
		return checkIssuerURL(issuer)
	}
	return ""
}

// checkSPIFFE returns what is wrong with a SPIFFE id.
func checkSPIFFE(s string) string {
	_, err := verify.ProducerDomain(s)
	if err == nil {
		return ""
	}
	wrong := strings.TrimPrefix(err.Error(), "producer ")
	if strings.HasSuffix(wrong, "is no SPIFFE id") {
		wrong += ": want spiffe://<domain>/<path>"
	}
	return wrong
}

// checkFunction returns what is wrong with a function.
func checkFunction(s string) string {
	for i := range len(s) {
		if c := s[i]; !alnum(c) && c != '-' {
			if strings.ContainsAny(s, ",+&/") {
				return fmt.Sprintf("%s names several functions; a domain has exactly one: make a domain for each", quote(s))
			}
			return fmt.Sprintf("%s is no function: one word of a-z, 0-9 and dashes, such as %s or database", quote(s), BrokerInterface)
		}
	}
	if !alnum(s[0]) || !alnum(s[len(s)-1]) {
		return fmt.Sprintf("%s is no function: it begins and ends with a letter or a digit", quote(s))
	}
	for _, known := range interfaces {
		if s != known && distance(s, known, 2) <= 2 {
			return fmt.Sprintf("%s is too near to %q; did you mean that?", quote(s), known)
		}
	}
	return ""
}

// checkClass returns what is wrong with a retention class.
func checkClass(s string) string {
	if checkID(s) != "" {
		return fmt.Sprintf("%s is no retention class: a-z, 0-9, dot and dash", quote(s))
	}
	return ""
}

// checkDNS returns what is wrong with an exact DNS name.
func checkDNS(s string) string {
	name := strings.ToLower(s)
	switch {
	case strings.Contains(s, "*"):
		return fmt.Sprintf("%s is a wildcard: it would take names into the domain that nobody decided on; list each exact name", quote(s))
	case strings.Contains(s, "://"), strings.Contains(s, "/"):
		return fmt.Sprintf("%s is a URL or a path; write the host name alone", quote(s))
	case strings.Contains(s, ":"):
		return fmt.Sprintf("%s holds a port or is an address; write the host name alone", quote(s))
	case name != s:
		return fmt.Sprintf("%s is not in lower case", quote(s))
	case strings.HasSuffix(s, "."):
		return fmt.Sprintf("%s ends with a dot; write it without", quote(s))
	}
	digits := true
	for label := range strings.SplitSeq(s, ".") {
		if wrong := checkLabel(label); wrong != "" {
			return fmt.Sprintf("%s is no DNS name: %s", quote(s), wrong)
		}
		digits = strings.Trim(label, "0123456789") == ""
	}
	if digits { // as the last label: no top-level domain is a number
		return fmt.Sprintf("%s is an address, not a DNS name", quote(s))
	}
	return ""
}

// checkLabel returns what is wrong with a label of a DNS name.
func checkLabel(s string) string {
	if s == "" || len(s) > 63 {
		return fmt.Sprintf("a label has %d bytes, not 1 to 63", len(s))
	}
	for i := range len(s) {
		if c := s[i]; !alnum(c) && c != '-' && c != '_' {
			if c >= 0x80 {
				return fmt.Sprintf("%q is not ASCII; write it as xn--", firstRune(s[i:]))
			}
			return fmt.Sprintf("%q is none of a-z, 0-9, dash and underscore", rune(c))
		}
	}
	if s[0] == '-' || s[len(s)-1] == '-' {
		return "a label begins or ends with a dash"
	}
	return ""
}

// checkIssuerURL returns what is wrong with the URL of an OIDC issuer.
func checkIssuerURL(s string) string {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		return fmt.Sprintf("%s is no https URL", quote(s))
	}
	if strings.ContainsAny(rest, "?#@\\ ") {
		return fmt.Sprintf("%s: an issuer has no query, fragment, user or space", quote(s))
	}
	authority, _, _ := strings.Cut(rest, "/")
	host, port, has := strings.Cut(authority, ":")
	if has && (port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "") {
		return fmt.Sprintf("%s: %q is no port", quote(s), port)
	}
	if host == "" || checkDNS(host) != "" {
		return fmt.Sprintf("%s: %q is no exact host name", quote(s), host)
	}
	return ""
}

// checkDigest returns what is wrong with a SHA-256 in hexadecimal.
func checkDigest(s string) string {
	if b, err := hex.DecodeString(s); err != nil || len(b) != 32 || strings.ToLower(s) != s {
		return fmt.Sprintf("%s is no SHA-256: 64 lower-case hexadecimal digits, of the CA's SubjectPublicKeyInfo", quote(s))
	}
	return ""
}

// checkAction returns what is wrong with an action of a flow.
func checkAction(s string) string {
	op, ok := strings.CutPrefix(s, opPrefix)
	if !ok {
		if _, known := classes.numbers[s]; known || s == anyAction {
			return ""
		}
		near := Nearest(s, slices.Concat(classes.names, []string{anyAction}))
		if near != "" {
			near = fmt.Sprintf("; did you mean %q?", near)
		}
		return fmt.Sprintf("%s is no action: one of %s, any, or op:<operation>%s", quote(s), classes.list(), near)
	}
	name := strings.TrimSuffix(op, "*")
	switch {
	case op == "":
		return "op: names no operation"
	case name == "":
		return "op:* is every operation; write any"
	case strings.Contains(name, "*"):
		return fmt.Sprintf("%s: a * stands only at the end", quote(s))
	case strings.TrimSpace(op) != op:
		return fmt.Sprintf("%s: white space around the operation", quote(s))
	case len(name) > 256:
		return fmt.Sprintf("the operation has %d bytes, more than 256", len(name))
	}
	return ""
}

// duration reads a length of time: Go's notation, or whole days as `7d`.
func (r *reader) duration(n *yaml.Node, at *place, lo, hi time.Duration) uint64 {
	s := r.text(n, at, nil, nil)
	if s == "" {
		return 0
	}
	unit, rest := s, ""
	if days, ok := strings.CutSuffix(s, "d"); ok && len(days) < 5 {
		unit, rest = days+"h", "d"
	}
	d, err := time.ParseDuration(unit)
	if err != nil {
		r.fault(n, at, "%s is no length of time, such as 50ms, 5m, 1h30m or 7d", quote(s))
		return 0
	}
	if rest != "" {
		d *= 24
	}
	if d < lo || d > hi {
		r.fault(n, at, "%s is outside %s to %s", quote(s), formatDuration(lo), formatDuration(hi))
		return 0
	}
	return uint64(d)
}

// formatDuration writes a length of time as short as duration reads it.
func formatDuration(d time.Duration) string {
	if day := 24 * time.Hour; d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// instant reads a date (its midnight, UTC) or an RFC 3339 time as nanoseconds.
func (r *reader) instant(n *yaml.Node, at *place) int64 {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" && n.ShortTag() != "!!timestamp" {
		if n.Kind != yaml.AliasNode {
			r.fault(n, at, "is %s, not a date", kindOf(n))
		}
		return 0
	}
	t, err := time.Parse(time.DateOnly, n.Value)
	if err != nil {
		t, err = time.Parse(time.RFC3339Nano, n.Value)
	}
	if err != nil {
		r.fault(n, at, "%s is neither a date such as 2026-01-31 nor a time such as 2026-01-31T09:30:00Z", quote(n.Value))
		return 0
	}
	if year := t.UTC().Year(); year < firstYear || year > lastYear {
		r.fault(n, at, "%s is outside the years %d to %d", quote(n.Value), firstYear, lastYear)
		return 0
	}
	return t.UnixNano()
}

// formatInstant writes nanoseconds as instant reads them.
func formatInstant(ns int64) string {
	t := time.Unix(0, ns).UTC()
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339Nano)
}

// fold returns the form in which names are compared, which is that of
// [Map.Resolve]: lower case, one trailing dot cut.
func fold(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

// lower returns an ASCII letter in lower case.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// alnum reports whether c is a lower-case letter or a digit.
func alnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// firstRune returns the first character of s.
func firstRune(s string) rune {
	for _, c := range s {
		return c
	}
	return 0
}
