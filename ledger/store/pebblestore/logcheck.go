package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// Pebble's log file is a sequence of 32 KiB blocks of chunks, which do not cross
// blocks:
//
//	u32 checksum || u16 length || u8 type || u32 log number || u64 synced offset || data
//
// little-endian, with a masked CRC-32C from the type on. The synced offset
// promises that the file was durable up to there when the chunk was written.
const (
	logBlock  = 32 << 10
	chunkHead = 4 + 2 + 1 + 4 + 8
	firstType = 9 // whole, first, middle and last chunk of a batch with synced offset
	lastType  = 12
)

// checkLog refuses a store whose newest log file was damaged after it had been
// synced. Replaying a log, Pebble stops at the first chunk it cannot read and
// takes it for the unfinished last write, unless a chunk in a later block
// promises otherwise. Within the last 32 KiB, and after a bad log number that
// looks like the end mark, one flipped bit would silently drop every commit
// behind it; here those promises are looked at too. Older log files must end
// with their end mark, which Pebble sees to.
func checkLog(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	newest, number := "", uint64(0)
	for _, name := range names {
		text, isLog := strings.CutSuffix(name, ".log")
		if n, err := strconv.ParseUint(text, 10, 64); isLog && err == nil && n >= number {
			newest, number = name, n
		}
	}
	if newest == "" {
		return nil
	}
	f, err := fs.Open(fs.PathJoin(dir, newest))
	if err != nil {
		return err
	}
	l := logScan{number: uint32(number), hole: -1}
	if err := errors.Join(l.scan(f), f.Close()); err != nil {
		return fmt.Errorf("log file %s: %w", newest, err)
	}
	return nil
}

// logScan looks for the first hole of a log file, which may be its end mark, its
// unwritten rest, or old bytes of a reused file; then for a chunk that promises
// that what is in the hole was once durable.
type logScan struct {
	number uint32
	hole   int64 // offset of the first bytes that are no chunk, -1 so far
}

func (l *logScan) scan(r io.Reader) error {
	buf := make([]byte, logBlock)
	for at := int64(0); ; at += logBlock {
		n, err := io.ReadFull(r, buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if err := l.block(buf[:n], at); err != nil {
			return err
		}
	}
}

func (l *logScan) block(b []byte, at int64) error {
	i := 0
	for {
		length, synced, ok := l.chunk(b[i:])
		if !ok {
			break
		}
		if err := l.promise(synced); err != nil {
			return err
		}
		i += length
	}
	if len(b)-i < chunkHead && allZero(b[i:]) || l.hole >= 0 {
		return nil
	}
	l.hole = at + int64(i)
	for i++; len(b)-i >= chunkHead; i++ {
		if _, synced, ok := l.chunk(b[i:]); ok {
			if err := l.promise(synced); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *logScan) promise(synced uint64) error {
	if l.hole >= 0 && synced > uint64(l.hole) {
		return fmt.Errorf("%w: damaged at byte %d, of which a later write says it was durable", store.ErrDamaged, l.hole)
	}
	return nil
}

// chunk reads one chunk of this log file and returns its whole length.
func (l *logScan) chunk(b []byte) (length int, synced uint64, ok bool) {
	if len(b) < chunkHead || b[6] < firstType || b[6] > lastType || binary.LittleEndian.Uint32(b[7:]) != l.number {
		return 0, 0, false
	}
	length = chunkHead + int(binary.LittleEndian.Uint16(b[4:]))
	if length > len(b) {
		return 0, 0, false
	}
	c := crc32.Checksum(b[6:length], castagnoli)
	if binary.LittleEndian.Uint32(b) != (c>>15|c<<17)+0xa282ead8 {
		return 0, 0, false
	}
	return length, binary.LittleEndian.Uint64(b[11:]), true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
