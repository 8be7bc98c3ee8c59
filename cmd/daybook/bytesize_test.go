package main

import (
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"
)

func TestParseByteSize(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "7": 7, "7B": 7, "1KB": 1000, "1KiB": 1024, "1MB": 1_000_000, "1MiB": 1_048_576, "450MB": 450_000_000, "450MiB": 471_859_200,
		"4GB": 4_000_000_000, "4GiB": 4_294_967_296, "18446744073709551615": 1<<64 - 1,
	} {
		if got, err := parseByteSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for text, reason := range map[string]string{
		"": "digit", "MB": "digit", "-1MB": "digit", "+1MB": "digit", " 1MB": "digit", "1 MB": "unit", "1mb": "unit", "1Mb": "unit", "1M": "unit", "1MBs": "unit",
		"1MiB ": "unit", "1.5GB": "unit", "1e6": "unit", "0x10": "unit", "1_000": "unit", "01MB": "zero", "00": "zero", "١MB": "digit",
		"18446744073709551616": "too large", "18446744073709552KB": "too large", "99999999999GiB": "too large",
	} {
		_, err := parseByteSize(text)
		var size *byteSizeError
		if !errors.As(err, &size) || size.Text != text || !strings.Contains(size.Reason, reason) || !strings.Contains(err.Error(), "450MiB") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzParseByteSize compares the parser with one of a few lines.
func FuzzParseByteSize(f *testing.F) {
	for _, s := range []string{"450MB", "450MiB", "1", "0", "01", "1 MB", "18446744073709551615", "18446744073709551616B", "17179869184GiB"} {
		f.Add(s)
	}
	form := regexp.MustCompile(`^(0|[1-9][0-9]*)((?:[KMG]i?)?B|)$`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseByteSize(text)
		want, ok := new(big.Int), false
		if m := form.FindStringSubmatch(text); m != nil {
			want.SetString(m[1], 10)
			base := int64(1000)
			if strings.Contains(m[2], "i") {
				base = 1024
			}
			if power := strings.Index("BKMG", (m[2] + "B")[:1]); power > 0 {
				want.Mul(want, new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(power)), nil))
			}
			ok = want.IsUint64()
		}
		if (err == nil) != ok || ok && got != want.Uint64() {
			t.Errorf("%q: %d, %v, want %s, %v", text, got, err, want, ok)
		}
	})
}
