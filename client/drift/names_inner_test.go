package drift

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// dumbFind is RFC 4592 by its words: a name that exists answers for itself; else
// the wildcard below its closest encloser does.
func dumbFind(z *Zone, name string) (values []string, wildcard bool) {
	exists := func(name string) bool {
		return slices.ContainsFunc(z.Records, func(r Record) bool { return !strings.HasPrefix(r.Name, "*.") && below(r.Name, name) })
	}
	at := func(name string) (values []string) {
		for _, r := range z.Records {
			if r.Name == name {
				values = append(values, r.Value)
			}
		}
		return values
	}
	if exists(name) {
		return at(name), false
	}
	labels := strings.Split(name, ".")
	for i := 1; i < len(labels); i++ {
		encloser := strings.Join(labels[i:], ".")
		values := at("*." + encloser)
		if len(values) > 0 {
			return values, true
		}
		if exists(encloser) {
			return nil, false
		}
	}
	return nil, false
}

// TestFindLikeRFC4592 tries every zone of up to three of these names.
func TestFindLikeRFC4592(t *testing.T) {
	names := []string{"z.example", "a.z.example", "b.a.z.example", "c.b.a.z.example", "*.z.example", "*.a.z.example", "*.b.a.z.example"}
	asked := append(slices.Clone(names[:4]), "x.z.example", "x.a.z.example", "x.b.a.z.example", "y.x.z.example", "other.example")
	for set := range 1 << len(names) {
		z := &Zone{Origin: "z.example"}
		for i, name := range names {
			if set>>i&1 == 1 {
				z.Records = append(z.Records, Record{name, "A", fmt.Sprintf("192.0.2.%d", i)})
			}
		}
		n := newNamespace([]*Zone{z})
		for _, name := range asked {
			want, wantWild := dumbFind(z, name)
			records, wild := n.find(name)
			var got []string
			for _, r := range records {
				got = append(got, r.Value)
			}
			if !slices.Equal(got, want) || wild != wantWild {
				t.Fatalf("set %b: %s gives %v, %v; want %v, %v", set, name, got, wild, want, wantWild)
			}
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, c := range []struct {
		in   string
		base int
		want string
	}{
		{`\052.example.com`, 8, "*.example.com"}, {`\042.example.com`, 10, "*.example.com"}, {`\*.example.com`, 10, "*.example.com"},
		{`a\.b.example.com`, 8, "a.b.example.com"}, {`a\`, 8, `a\`}, {`\999`, 10, "999"}, {`\400x`, 8, "400x"}, {`\+12`, 10, "+12"},
		{`\101`, 8, "a"}, {"plain", 8, "plain"},
	} {
		if got := unescape(c.in, c.base); got != c.want {
			t.Errorf("%q to the base %d gives %q, want %q", c.in, c.base, got, c.want)
		}
	}
}
