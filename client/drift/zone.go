package drift

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// Limits of one export.
const (
	// MaxBytes bounds an export of DNS or Terraform.
	MaxBytes = 256 << 20
	// maxRecords bounds the records of one zone.
	maxRecords = 1 << 20
)

// Record is one DNS record, as far as a scan needs it.
type Record struct {
	// Name in lower case, without the final dot; its first label may be `*`.
	Name string
	// Type, such as A, AAAA, CNAME, NS. ALIAS is a Route 53 alias or a record that
	// a provider flattens.
	Type string
	// Value is the address of an A or AAAA, the canonical name that a CNAME, ALIAS
	// or NS points to, and else empty.
	Value string
}

// Zone is what an export says of one DNS zone.
type Zone struct {
	// Kind is zone, route53 or cloudflare.
	Kind string
	// Source is the file it is from.
	Source string
	// Origin is the canonical name of the zone.
	Origin string
	// Records of it, in the order of the export.
	Records []Record
}

// ParseZone reads an RFC 1035 master file, such as
//
//	$ORIGIN example.com.
//	$TTL 300
//	@    IN SOA ns1.example.com. hostmaster.example.com. 1 7200 900 1209600 300
//	www  IN A   192.0.2.10
//
// origin may be empty where the file has a SOA record or $ORIGIN; source names
// the file in results. $INCLUDE is refused: a scan reads the files it is given.
func ParseZone(text []byte, origin, source string) (*Zone, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("parsing zone %s: it is over %d bytes", source, MaxBytes)
	}
	p := dns.NewZoneParser(bytes.NewReader(text), dns.Fqdn(origin), source)
	p.SetDefaultTTL(3600)
	z := &Zone{Kind: "zone", Source: source, Origin: canonical(origin)}
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		if len(z.Records) == maxRecords {
			return nil, fmt.Errorf("parsing zone %s: it has over %d records", source, maxRecords)
		}
		r := recordOf(rr)
		if r.Type == "SOA" && z.Origin == "" {
			z.Origin = r.Name
		}
		z.Records = append(z.Records, r)
	}
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("parsing zone %s: %w", source, err)
	}
	if z.Origin == "" {
		z.Origin = commonZone(z.Records)
	}
	if z.Origin == "" {
		return nil, fmt.Errorf("parsing zone %s: it does not say which zone it is of: give NAME=FILE", source)
	}
	return z, nil
}

func recordOf(rr dns.RR) Record {
	h := rr.Header()
	r := Record{Name: unescape(canonical(h.Name), 10), Type: dns.TypeToString[h.Rrtype]}
	switch x := rr.(type) {
	case *dns.A:
		r.Value = x.A.String()
	case *dns.AAAA:
		r.Value = x.AAAA.String()
	case *dns.CNAME:
		r.Value = canonical(x.Target)
	case *dns.NS:
		r.Value = canonical(x.Ns)
	}
	return r
}

// unescape reads `\*` and three digits, as in `\052`: to the base 10 in master
// files, to the base 8 in what Route 53 exports.
func unescape(name string, base int) string {
	if !strings.Contains(name, `\`) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '\\' || i+1 == len(name) {
			b.WriteByte(name[i])
			continue
		}
		if i+3 < len(name) {
			if n, err := strconv.ParseUint(name[i+1:i+4], base, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		i++
		b.WriteByte(name[i])
	}
	return strings.ToLower(b.String())
}

// commonZone is the longest name that all records are below, of two labels at
// least; empty: there is none.
func commonZone(records []Record) string {
	var common []string
	for i, r := range records {
		labels := strings.Split(strings.TrimPrefix(r.Name, "*."), ".")
		if i == 0 {
			common = labels
			continue
		}
		n := 0
		for n < len(common) && n < len(labels) && common[len(common)-1-n] == labels[len(labels)-1-n] {
			n++
		}
		common = common[len(common)-n:]
	}
	if len(common) < 2 {
		return ""
	}
	return strings.Join(common, ".")
}

// addressOf checks and canonicalizes an address.
func addressOf(text string) (string, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return "", errors.New("is no IP address")
	}
	return a.Unmap().String(), nil
}

// addRecord adds a record of an export in JSON.
func (z *Zone) addRecord(name, typ, value string) error {
	if len(z.Records) == maxRecords {
		return fmt.Errorf("it has over %d records", maxRecords)
	}
	r := Record{Name: canonical(name), Type: strings.ToUpper(typ)}
	if z.Kind == "route53" {
		r.Name = unescape(r.Name, 8)
	}
	if r.Name == "" || r.Type == "" {
		return fmt.Errorf("record %d lacks a name or a type", len(z.Records)+1)
	}
	switch r.Type {
	case "A", "AAAA":
		var err error
		if r.Value, err = addressOf(value); err != nil {
			return fmt.Errorf("record %s %s: %.64q %w", r.Name, r.Type, value, err)
		}
	case "CNAME", "ALIAS", "NS":
		if r.Value = canonical(value); r.Value == "" {
			return fmt.Errorf("record %s %s points to nothing", r.Name, r.Type)
		}
	}
	z.Records = append(z.Records, r)
	return nil
}
