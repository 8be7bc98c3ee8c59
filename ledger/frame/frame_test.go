package frame_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
	"pgregory.net/rapid"
)

// The pasted example of the package comment.
const example = "00 0002 0000000e 202606b9 0007 64617962 6f6f6b 0003 6c6f67"

func TestExample(t *testing.T) {
	want, err := hex.DecodeString(strings.ReplaceAll(example, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	entries := [][]byte{[]byte("daybook"), []byte("log")}
	if got := frame.Encode(nil, entries); !bytes.Equal(got, want) {
		t.Errorf("Encode = %x, want %x", got, want)
	}
	got, err := frame.Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entries, got); diff != "" {
		t.Error(diff)
	}
}

// shaped returns n entries of about 680 bytes of which s2 finds half.
func shaped(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	entries := make([][]byte, n)
	for i := range entries {
		var b bytes.Buffer
		fmt.Fprintf(&b, "spiffe://broker.example/gateway-%d ", r.IntN(4))
		for b.Len() < 680 {
			fmt.Fprintf(&b, "actor=user-%05d op=s3:GetObject to=prod-db-%02d id=%016x ", r.IntN(500), r.IntN(16), r.Uint64())
		}
		entries[i] = b.Bytes()[:680]
	}
	return entries
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 80), 1, 300).Draw(t, "entries")
		if rapid.Bool().Draw(t, "repetitive") {
			for i := range entries {
				entries[i] = append([]byte(nil), entries[0]...)
			}
		}
		prefix := []byte("kept")
		b := frame.Encode(prefix, entries)
		if !bytes.HasPrefix(b, prefix) {
			t.Fatalf("Encode changed what dst held: %q", b[:4])
		}
		b = b[len(prefix):]
		var d frame.Decoder
		for range 2 {
			got, err := d.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(entries, got, cmp.Comparer(bytes.Equal)); diff != "" {
				t.Fatal(diff)
			}
		}
		after, err := d.DecodeAfter(b)
		if err != nil || len(after) != len(entries) {
			t.Fatalf("DecodeAfter gave %d entries, %v", len(after), err)
		}
		for i := range after {
			if !bytes.Equal(after[i][1:], entries[i]) || after[i][0] != byte(len(entries[i])) {
				t.Fatalf("DecodeAfter: entry %d is %q", i, after[i])
			}
		}
		checkParts(t, b, entries)
		if n, err := frame.Count(b); err != nil || n != len(entries) {
			t.Fatalf("Count = %d, %v", n, err)
		}
		if raw, err := d.Payload(b); err != nil || len(raw) != rawLen(entries) {
			t.Fatalf("Payload of %d bytes, %v; RawLen %d", len(raw), err, rawLen(entries))
		}
	})
}

// checkParts reads each entry with its part alone.
func checkParts(t interface{ Fatalf(string, ...any) }, b []byte, entries [][]byte) {
	var d frame.Decoder
	for i := range entries {
		part, first, err := d.DecodePart(b, i)
		if err != nil || i < first || i-first >= len(part) {
			t.Fatalf("DecodePart of entry %d: %d entries from %d, %v", i, len(part), first, err)
		}
		for j, e := range part {
			if !bytes.Equal(e, entries[first+j]) {
				t.Fatalf("DecodePart of entry %d: entry %d is %q", i, first+j, e)
			}
		}
	}
	for _, i := range []int{-1, len(entries)} {
		if _, _, err := d.DecodePart(b, i); !errors.Is(err, frame.ErrDamaged) {
			t.Fatalf("DecodePart of entry %d of %d: %v", i, len(entries), err)
		}
	}
}

// TestOldFramesAreRead reads a bundle coded as one block, as it was written before
// there were parts.
func TestOldFramesAreRead(t *testing.T) {
	entries := shaped(256)
	var payload []byte
	for _, e := range entries {
		payload = frame.AppendEntry(payload, e)
	}
	b := binary.BigEndian.AppendUint16([]byte{1}, 256)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	body := s2.Encode(nil, payload)
	table := crc32.MakeTable(crc32.Castagnoli)
	b = binary.BigEndian.AppendUint32(b, crc32.Update(crc32.Checksum(b, table), table, body))
	b = append(b, body...)
	got, err := frame.Decode(b)
	if err != nil || len(got) != 256 || !bytes.Equal(got[255], entries[255]) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	checkParts(t, b, entries)
}

// A part that is damaged is found by who reads it, and hides no other.
func TestDamagedPart(t *testing.T) {
	entries := shaped(256)
	b := frame.Encode(nil, entries)
	b[len(b)-9] ^= 1
	if _, err := frame.Decode(b); !errors.Is(err, frame.ErrDamaged) {
		t.Fatalf("Decode: %v", err)
	}
	var d frame.Decoder
	if _, _, err := d.DecodePart(b, 255); !errors.Is(err, frame.ErrDamaged) {
		t.Fatalf("DecodePart of an entry of the part: %v", err)
	}
	part, first, err := d.DecodePart(b, 100)
	if err != nil || !bytes.Equal(part[100-first], entries[100]) {
		t.Fatalf("DecodePart of an entry of another part: %v", err)
	}
}

func TestEveryFlipIsFound(t *testing.T) {
	for _, entries := range [][][]byte{{[]byte("daybook"), []byte("log")}, shaped(2), repeated(70)} {
		b := frame.Encode(nil, entries)
		for i := range b {
			for bit := range 8 {
				b[i] ^= 1 << bit
				if _, err := frame.Decode(b); !errors.Is(err, frame.ErrDamaged) {
					t.Fatalf("byte %d bit %d flipped: %v", i, bit, err)
				}
				b[i] ^= 1 << bit
			}
		}
	}
}

func TestEveryTruncationIsFound(t *testing.T) {
	for _, entries := range [][][]byte{shaped(3), repeated(130)} {
		b := frame.Encode(nil, entries)
		for i := range b {
			if _, err := frame.Decode(b[:i]); !errors.Is(err, frame.ErrDamaged) {
				t.Fatalf("cut to %d of %d bytes: %v", i, len(b), err)
			}
		}
		if _, err := frame.Decode(append(b, 0)); !errors.Is(err, frame.ErrDamaged) {
			t.Fatalf("one byte more: %v", err)
		}
	}
}

// repeated returns n entries of few bytes that s2 shortens well: a small frame in
// parts.
func repeated(n int) [][]byte {
	entries := make([][]byte, n)
	for i := range entries {
		entries[i] = fmt.Appendf(nil, "daybook daybook %d", i%3)
	}
	return entries
}

func TestLargest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	entry := make([]byte, 61440+4000)
	for i := range entry {
		entry[i] = byte(r.Uint32())
	}
	entries := make([][]byte, 256)
	for i := range entries {
		e := bytes.Clone(entry)
		for j := range e {
			e[j] ^= byte(i*j>>3 + i)
		}
		entries[i] = e
	}
	b := frame.Encode(nil, entries)
	if len(b) > frame.MaxFrame {
		t.Fatalf("a full bundle of the largest entries takes %d bytes, at most %d", len(b), frame.MaxFrame)
	}
	got, err := frame.Decode(b)
	if err != nil || len(got) != 256 || !bytes.Equal(got[255], entries[255]) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
}

func TestEncodePanicsOverLimits(t *testing.T) {
	for name, entries := range map[string][][]byte{
		"none":      nil,
		"too long":  {make([]byte, frame.MaxEntry+1)},
		"too large": slicesOf(257, frame.MaxEntry),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			frame.Encode(nil, entries)
		})
	}
}

func slicesOf(n, size int) [][]byte {
	one := make([]byte, size)
	entries := make([][]byte, n)
	for i := range entries {
		entries[i] = one
	}
	return entries
}

func TestNoAllocationPerEntry(t *testing.T) {
	entries := shaped(100)
	dst := frame.Encode(nil, entries)
	dst = make([]byte, 0, 2*cap(dst)+2*rawLen(entries))
	var d frame.Decoder
	allocs := testing.AllocsPerRun(50, func() {
		dst = frame.Encode(dst[:0], entries)
		if _, err := d.Decode(dst); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 5 { // the pool may be empty now and then
		t.Errorf("%v allocations for a round trip of 100 entries into reused memory", allocs)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(frame.Encode(nil, [][]byte{[]byte("daybook"), []byte("log")}))
	f.Add(frame.Encode(nil, shaped(2)))
	f.Add(frame.Encode(nil, repeated(65)))
	f.Add([]byte{})
	f.Add(append(make([]byte, 11), 4, 12, 'l', 'o', 'g', 's'))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 11 && b[7] == 0 { // let the fuzzer past the checksum
			table := crc32.MakeTable(crc32.Castagnoli)
			checked := b[11:]
			if b[0] == 2 && len(checked) > 0 && checked[0] > 0 {
				parts := (int(binary.BigEndian.Uint16(b[1:])) + int(checked[0]) - 1) / int(checked[0])
				checked = checked[:min(len(checked), 1+8*parts)]
			}
			sealParts(checked, b[11:])
			sum := crc32.Update(crc32.Checksum(b[:7], table), table, checked)
			binary.BigEndian.PutUint32(b[7:], sum)
		}
		entries, err := frame.Decode(b)
		if err != nil {
			if !errors.Is(err, frame.ErrDamaged) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		checkParts(t, b, entries)
		again, err := frame.Decode(frame.Encode(nil, entries))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(entries, again, cmp.Comparer(bytes.Equal)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// sealParts makes the checksums of the parts right, where the table fits them.
func sealParts(table, body []byte) {
	if len(table) == 0 || len(body) == len(table) {
		return
	}
	parts := body[len(table):]
	for row := table[1:]; len(row) >= 8; row = row[8:] {
		n := binary.BigEndian.Uint32(row)
		if uint64(n) > uint64(len(parts)) {
			return
		}
		binary.BigEndian.PutUint32(row[4:], crc32.Checksum(parts[:n], crc32.MakeTable(crc32.Castagnoli)))
		parts = parts[n:]
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{1, 100, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			entries := shaped(n)
			var dst []byte
			for b.Loop() {
				dst = frame.Encode(dst[:0], entries)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
			b.ReportMetric(float64(len(dst))/float64(rawLen(entries)), "of-size")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 100, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			coded := frame.Encode(nil, shaped(n))
			var d frame.Decoder
			for b.Loop() {
				if _, err := d.Decode(coded); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
		})
	}
}

// BenchmarkDecodePart reads one entry of a bundle.
func BenchmarkDecodePart(b *testing.B) {
	coded := frame.Encode(nil, shaped(256))
	var d frame.Decoder
	for i := 0; b.Loop(); i++ {
		if _, _, err := d.DecodePart(coded, i*31%256); err != nil {
			b.Fatal(err)
		}
	}
}

// rawLen is the length of the payload of these entries.
func rawLen(entries [][]byte) int {
	n := 2 * len(entries)
	for _, e := range entries {
		n += len(e)
	}
	return n
}
