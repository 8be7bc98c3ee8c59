package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteUnits are the units of a size in bytes: those with an i are powers of two, the
// others of ten (IEC 80000-13, SI).
var byteUnits = []struct {
	name string
	size uint64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"B", 1}, {"", 1},
}

// A byteSizeError says why a text is no size in bytes.
type byteSizeError struct {
	Text   string // as it was given
	Reason string
}

func (e *byteSizeError) Error() string {
	return fmt.Sprintf("%.40q is no size: %s; give a number and a unit without a space, such as 450MB (450,000,000 bytes) or 450MiB (471,859,200)", e.Text, e.Reason)
}

// parseByteSize reads a size such as 450MB, 450MiB or 471859200: decimal digits
// without a leading zero, and at most one unit, as byteUnits has it. The error is a
// *byteSizeError.
func parseByteSize(text string) (uint64, error) {
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	digits, unit := text[:end], text[end:]
	fail := func(reason string) (uint64, error) { return 0, &byteSizeError{text, reason} }
	switch {
	case digits == "":
		return fail("it does not begin with a digit")
	case digits[0] == '0' && len(digits) > 1:
		return fail("it begins with a zero")
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return fail("the number is too large")
	}
	for _, u := range byteUnits {
		if u.name != unit {
			continue
		}
		if n > math.MaxUint64/u.size {
			return fail("it is too large")
		}
		return n * u.size, nil
	}
	return fail(fmt.Sprintf("the unit %.20q is not B, KB, MB, GB, KiB, MiB or GiB", unit))
}
