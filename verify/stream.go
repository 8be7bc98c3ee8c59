package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// MaxDomain is the longest domain id in bytes.
const MaxDomain = 63

// StreamKey is the binary key of a stream:
//
//	u8 kind || u8 len || source id || u8 len || target id || u8 side || u8 late
//
// Every entry is in exactly one stream, the one its head names.
type StreamKey string

// MakeStreamKey returns the key of a stream. Ids have at most 255 bytes here;
// the entry head bounds them at MaxDomain.
func MakeStreamKey(kind daybookv1.Kind, source, target string, side daybookv1.Side, late bool) StreamKey {
	b := make([]byte, 0, 5+len(source)+len(target))
	b = append(b, byte(kind), byte(len(source)))
	b = append(b, source...)
	b = append(b, byte(len(target)))
	b = append(b, target...)
	b = append(b, byte(side), 0)
	if late {
		b[len(b)-1] = 1
	}
	return StreamKey(b)
}

// StreamKeyOf returns the key of the stream that an entry is in.
func StreamKeyOf(h *EntryHead) StreamKey {
	return MakeStreamKey(h.Kind, h.Source, h.Target, h.Side, h.Late)
}

// ParseStreamKey reads a stream key strictly: MakeStreamKey of the result
// gives the same bytes. The strings are copies.
func ParseStreamKey(b []byte) (kind daybookv1.Kind, source, target string, side daybookv1.Side, late bool, err error) {
	fail := func(why string) (daybookv1.Kind, string, string, daybookv1.Side, bool, error) {
		return 0, "", "", 0, false, fmt.Errorf("stream key: %s", why)
	}
	if len(b) < 1 {
		return fail("empty")
	}
	kind, rest := daybookv1.Kind(b[0]), b[1:]
	var ids [2]string
	for i := range ids {
		if len(rest) < 1 || int(rest[0]) > len(rest)-1 {
			return fail("cut short")
		}
		n := int(rest[0])
		if n > MaxDomain {
			return fail(fmt.Sprintf("domain of %d bytes, limit %d", n, MaxDomain))
		}
		ids[i], rest = string(rest[1:1+n]), rest[1+n:]
	}
	if len(rest) != 2 {
		return fail("wrong length")
	}
	if rest[0] > byte(daybookv1.Side_SIDE_COLLECTOR) || rest[1] > 1 {
		return fail("unknown side or late")
	}
	return kind, ids[0], ids[1], daybookv1.Side(rest[0]), rest[1] == 1, nil
}

// CanonicalDomain returns the id of a domain until a map is in force: ASCII
// lower case, one trailing dot cut; what is then empty, over MaxDomain bytes or
// outside [a-z0-9.-] becomes "x-" and 32 hex digits of SHA-256(name).
func CanonicalDomain(name []byte) string {
	cut := name
	if n := len(cut); n > 0 && cut[n-1] == '.' {
		cut = cut[:n-1]
	}
	if len(cut) == 0 || len(cut) > MaxDomain {
		return hashedDomain(name)
	}
	var buf [MaxDomain]byte
	for i, c := range cut {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if !domainByte(c) {
			return hashedDomain(name)
		}
		buf[i] = c
	}
	return string(buf[:len(cut)])
}

func hashedDomain(name []byte) string {
	sum := sha256.Sum256(name)
	return "x-" + hex.EncodeToString(sum[:16])
}

func domainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '-'
}

// ProducerDomain returns the trust domain of a SPIFFE id,
// spiffe://<domain>/<path>. Strict: the domain is 1-63 bytes of [a-z0-9.-], the
// path has one or more segments of [a-zA-Z0-9._-], none of them "." or "..",
// and the id has at most 2,048 bytes.
func ProducerDomain(spiffe string) (string, error) {
	rest, ok := strings.CutPrefix(spiffe, "spiffe://")
	if !ok || len(spiffe) > 2048 {
		return "", fmt.Errorf("producer %.80q is no SPIFFE id", spiffe)
	}
	domain, path, ok := strings.Cut(rest, "/")
	if !ok || domain == "" || len(domain) > MaxDomain {
		return "", fmt.Errorf("producer %.80q: want spiffe://<domain>/<path>", spiffe)
	}
	for i := range len(domain) {
		if !domainByte(domain[i]) {
			return "", fmt.Errorf("producer %.80q: byte %q in the trust domain", spiffe, domain[i])
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return "", fmt.Errorf("producer %.80q: path segment %q", spiffe, segment)
		}
		for i := range len(segment) {
			c := segment[i]
			if !domainByte(c) && c != '_' && (c < 'A' || c > 'Z') {
				return "", fmt.Errorf("producer %.80q: byte %q in the path", spiffe, c)
			}
		}
	}
	return domain, nil
}
