package verify_test

import (
	"strings"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func TestStreamKey(t *testing.T) {
	k := verify.MakeStreamKey(daybookv1.Kind_KIND_ACCESS, "web", "db", daybookv1.Side_SIDE_TARGET, true)
	if want := verify.StreamKey("\x02\x03web\x02db\x02\x01"); k != want {
		t.Errorf("key %q, want %q", k, want)
	}
	if got := verify.StreamKeyOf(&verify.EntryHead{Kind: daybookv1.Kind_KIND_CLOSE}); got != "\x0d\x00\x00\x00\x00" {
		t.Errorf("key of a close %q", got)
	}
	kind, source, target, side, late, err := verify.ParseStreamKey([]byte(k))
	if err != nil || kind != daybookv1.Kind_KIND_ACCESS || source != "web" || target != "db" || side != daybookv1.Side_SIDE_TARGET || !late {
		t.Errorf("%v %q %q %v %v, %v", kind, source, target, side, late, err)
	}
	for _, bad := range []string{"", "\x02", "\x02\x03we", "\x02\x03web\x02db\x02", "\x02\x03web\x02db\x02\x01\x00", "\x02\x03web\x02db\x05\x01", "\x02\x03web\x02db\x02\x02",
		"\x02\x40" + strings.Repeat("a", 64) + "\x00\x00\x00"} {
		if _, _, _, _, _, err := verify.ParseStreamKey([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzParseStreamKey(f *testing.F) {
	f.Add([]byte("\x02\x03web\x02db\x02\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, source, target, side, late, err := verify.ParseStreamKey(b)
		if err == nil && string(verify.MakeStreamKey(kind, source, target, side, late)) != string(b) {
			t.Errorf("%q has another key", b)
		}
	})
}

func TestCanonicalDomain(t *testing.T) {
	for name, want := range map[string]string{
		"web.example": "web.example", "Web.EXAMPLE.": "web.example", "a..": "a.", "unknown": "unknown",
		"":                            "x-e3b0c44298fc1c149afbf4c8996fb924",
		".":                           "x-cdb4ee2aea69cc6a83331bbe96dc2caa",
		"Web Server":                  "x-" + sum32("Web Server"),
		"arn:aws:s3:::b":              "x-" + sum32("arn:aws:s3:::b"),
		"bücher.example":              "x-" + sum32("bücher.example"),
		strings.Repeat("a", 63):       strings.Repeat("a", 63),
		strings.Repeat("a", 64):       "x-" + sum32(strings.Repeat("a", 64)),
		strings.Repeat("a", 63) + ".": strings.Repeat("a", 63),
	} {
		if got := verify.CanonicalDomain([]byte(name)); got != want {
			t.Errorf("%q gives %q, want %q", name, got, want)
		}
	}
}

func FuzzCanonicalDomain(f *testing.F) {
	f.Add([]byte("Web.EXAMPLE."))
	f.Fuzz(func(t *testing.T, name []byte) {
		id := verify.CanonicalDomain(name)
		if id == "" || len(id) > verify.MaxDomain || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
			t.Errorf("%q gives %q", name, id)
		}
	})
}

func TestProducerDomain(t *testing.T) {
	for id, want := range map[string]string{
		"spiffe://demo.invalid/producer": "demo.invalid", "spiffe://a/b/C_d.e-f/9": "a", "spiffe://a/...": "a",
	} {
		if got, err := verify.ProducerDomain(id); err != nil || got != want {
			t.Errorf("%q gives %q, %v", id, got, err)
		}
	}
	for _, bad := range []string{"", "demo.invalid", "spiffe://", "spiffe:///a", "spiffe://a", "spiffe://a/", "spiffe://a//b", "spiffe://a/b/", "spiffe://a/./b", "spiffe://a/../b",
		"spiffe://A/b", "spiffe://a:1/b", "spiffe://u@a/b", "spiffe://a/b?c", "spiffe://a/b#c", "spiffe://a/b%20", "SPIFFE://a/b", "https://a/b", "spiffe://a_b/c",
		"spiffe://" + strings.Repeat("a", 64) + "/b", "spiffe://a/" + strings.Repeat("b", 2048)} {
		if got, err := verify.ProducerDomain(bad); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}
