package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Slip is one close in one line, short enough for a daily mail: who keeps it can
// later tell whether the close shown is the close of that day.
type Slip struct {
	Origin     string
	Start, End int64  // of the period, UTC nanoseconds
	Index      uint64 // of the close
	Cut        uint64 // entries of the log before End; also what the streams sum to
	Root       Hash   // of the log at the cut
	Streams    uint64 // rows of the table
	StreamRoot Hash
	Runs       uint64
	RunRoot    Hash
	Entry      Hash // leaf hash of the close's entry: stands for all of it
}

// SlipOf returns the slip of a close's entry, which has passed CheckCloseEntry.
func SlipOf(origin string, index uint64, entry []byte, c *daybookv1.Close) Slip {
	return Slip{Origin: origin, Start: c.PeriodStartNs, End: c.PeriodEndNs, Index: index, Cut: c.Cut, Root: Hash(c.Root),
		Streams: c.Streams.Rows, StreamRoot: Hash(c.Streams.Root), Runs: c.Runs.Rows, RunRoot: Hash(c.Runs.Root), Entry: HashLeaf(entry)}
}

const slipVersion = "daybook-slip/v1"

// MaxSlip is the longest slip in bytes.
const MaxSlip = 640

var errSlip = errors.New("not a daybook-slip/v1 line")

// FormatSlip returns the line, without a line feed: printable ASCII, fields with
// one space between, numbers decimal, hashes standard base64:
//
//	daybook-slip/v1 ORIGIN PERIOD close INDEX cut CUT root ROOT streams ROWS ROOT runs ROWS ROOT entry LEAF check CHECK
//
// PERIOD is the date of a whole UTC day, else start and end as RFC 3339 in UTC
// with a slash between. CHECK is the first 8 hex digits of SHA-256 of all before
// " check": it shows a slip of the pen, and proves nothing. For example
//
//	daybook-slip/v1 demo.invalid/log-0badcafe 2026-11-24 close 8 cut 7 root PAb5plclr2BSYfY2ZyyWINQJcx2JpFHXRV/pxK4WeCk= streams 4 bjyCxfzzUiYwwN3Ai6d5hgHYGM7eemZm/o0V+I0EnM4= runs 1 1WJF36buyGTaKv6U8IBuC8hdWr9ktCXMcrfEMrFNhx4= entry aTHwxc5nihtAwC/jwICCzn0rWwQvk/BBfqGrXc+VFEI= check 47e92681
//
// A log whose origin is not printable ASCII without spaces has no slips.
func FormatSlip(s Slip) (string, error) {
	for i := range len(s.Origin) {
		if c := s.Origin[i]; c <= ' ' || c > '~' {
			return "", fmt.Errorf("origin %q: not printable ASCII", s.Origin)
		}
	}
	if s.Origin == "" || len(s.Origin) > 255 {
		return "", fmt.Errorf("origin of %d bytes", len(s.Origin))
	}
	if s.End <= s.Start || s.Index > MaxSize || s.Cut > s.Index {
		return "", fmt.Errorf("close %d at cut %d ends its period at %d, which starts at %d", s.Index, s.Cut, s.End, s.Start)
	}
	b64 := base64.StdEncoding.EncodeToString
	text := fmt.Sprintf("%s %s %s close %d cut %d root %s streams %d %s runs %d %s entry %s", slipVersion, s.Origin,
		formatPeriod(s.Start, s.End), s.Index, s.Cut, b64(s.Root[:]), s.Streams, b64(s.StreamRoot[:]), s.Runs, b64(s.RunRoot[:]), b64(s.Entry[:]))
	return text + " check " + slipCheck(text), nil
}

func slipCheck(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

func formatPeriod(start, end int64) string {
	from, to := time.Unix(0, start).UTC(), time.Unix(0, end).UTC()
	if end-start == Day && DayStart(start) == start {
		return from.Format(time.DateOnly)
	}
	return from.Format(time.RFC3339Nano) + "/" + to.Format(time.RFC3339Nano)
}

// ParseSlip reads a slip strictly: FormatSlip of the result gives the same
// line.
func ParseSlip(line string) (Slip, error) {
	if len(line) > MaxSlip {
		return Slip{}, errSlip
	}
	var s Slip
	f := strings.Split(line, " ")
	if len(f) != 19 {
		return Slip{}, fmt.Errorf("%w: %d fields, want 19", errSlip, len(f))
	}
	s.Origin = f[1]
	var err error
	if s.Start, s.End, err = parsePeriod(f[2]); err != nil {
		return Slip{}, err
	}
	for i, n := range map[int]*uint64{4: &s.Index, 6: &s.Cut, 10: &s.Streams, 13: &s.Runs} {
		if *n, err = strconv.ParseUint(f[i], 10, 64); err != nil {
			return Slip{}, fmt.Errorf("%w: field %d is no number", errSlip, i)
		}
	}
	for i, h := range map[int]*Hash{8: &s.Root, 11: &s.StreamRoot, 14: &s.RunRoot, 16: &s.Entry} {
		b, err := base64.StdEncoding.Strict().DecodeString(f[i])
		if err != nil || len(b) != len(h) {
			return Slip{}, fmt.Errorf("%w: field %d is no hash", errSlip, i)
		}
		*h = Hash(b)
	}
	again, err := FormatSlip(s)
	if err != nil {
		return Slip{}, err
	}
	if again != line {
		if at := strings.LastIndex(line, " check "); at >= 0 && slipCheck(line[:at]) != line[at+len(" check "):] {
			return Slip{}, fmt.Errorf("%w: its check does not fit, the line was changed", errSlip)
		}
		return Slip{}, errSlip
	}
	return s, nil
}

// ParseDay returns when a UTC day, written as 2026-11-24, starts and ends, in
// nanoseconds since the Unix epoch.
func ParseDay(text string) (start, end int64, err error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1678 || t.Year() > 2261 {
		return 0, 0, fmt.Errorf("%.40q is no day: want one as 2026-11-24", text)
	}
	return t.UnixNano(), t.UnixNano() + Day, nil
}

func parsePeriod(text string) (start, end int64, err error) {
	from, to, isPart := strings.Cut(text, "/")
	if !isPart {
		return ParseDay(text)
	}
	for _, p := range []struct {
		text string
		ns   *int64
	}{{from, &start}, {to, &end}} {
		t, err := time.Parse(time.RFC3339Nano, p.text)
		if err != nil || t.Year() < 1678 || t.Year() > 2261 {
			return 0, 0, fmt.Errorf("%w: %.40q is no time", errSlip, p.text)
		}
		*p.ns = t.UnixNano()
	}
	return start, end, nil
}

// CheckSlip checks that a slip is that of the close in this entry of the log of
// that origin: nothing about the close differs from what the slip said then.
func CheckSlip(line, origin string, index uint64, entry []byte) error {
	s, err := ParseSlip(line)
	if err != nil {
		return err
	}
	e, err := ParseEntry(entry)
	if err != nil {
		return err
	}
	c, err := CheckCloseEntry(&e)
	if err != nil {
		return err
	}
	if got := SlipOf(origin, index, entry, c); got != s {
		return fmt.Errorf("the slip is of another close: %w", ErrProof)
	}
	return nil
}
