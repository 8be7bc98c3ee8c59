package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// unknown and anonymous are the reserved names of design: what the record does
// not tell, and what the caller did not.
const (
	unknown   = "unknown"
	anonymous = "anonymous"
)

// maxDomain is the longest domain id, in bytes.
const maxDomain = 63

// domainName makes a readable domain id of a name. An empty name is unknown.
// Names that differ in more than ASCII letter case, and `/` for `.`, give ids
// that differ; a foreign name cannot become a reserved one.
func domainName(name string) string {
	if name == "" {
		return unknown
	}
	id, exact := readable(name)
	if exact && len(id) <= maxDomain && id != unknown && id != anonymous {
		return id
	}
	sum := sha256.Sum256([]byte(name))
	suffix := "-" + hex.EncodeToString(sum[:4])
	if keep := maxDomain - len(suffix); len(id) > keep {
		id = id[:keep]
	}
	return strings.TrimLeft(strings.Trim(id, ".-")+suffix, "-")
}

// domainPath makes a domain id of a path of names, such as instance, class,
// code and subsystem, joined by dots. Trailing empty names are left out.
func domainPath(names ...string) string {
	for len(names) > 0 && names[len(names)-1] == "" {
		names = names[:len(names)-1]
	}
	return domainName(strings.Join(names, "/"))
}

// readable lowers letters, writes `/` as `.` and any other byte outside
// [a-z0-9.-] as `-`. It is exact where the id tells the name, but for case.
func readable(name string) (id string, exact bool) {
	exact = true
	b := []byte(name)
	slash, dot := false, false
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-':
		case c == '.':
			dot = true
		case c == '/':
			b[i], slash = '.', true
		default:
			b[i], exact = '-', false
		}
	}
	id = strings.Trim(string(b), ".-")
	if id != string(b) || slash && dot || strings.Contains(id, "..") {
		exact = false
	}
	return id, exact
}
