package verify

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// TileWidth is how many hashes a full tile has, and how many entries a full entry
// bundle.
const TileWidth = 256

const (
	tileHeight    = 8
	maxTileLevel  = 63
	maxTileNumber = MaxSize >> tileHeight
)

// ErrTilePath says that a text is no path of a tile or entry bundle.
var ErrTilePath = errors.New("no path of a tile")

// A Tile names one resource of c2sp.org/tlog-tiles@v0.1.0: Width hashes of the
// tree, or, with Entries, as many entries. Hash i of tile N at level L is the root
// of leaves [(256N+i)*256^L, (256N+i+1)*256^L).
type Tile struct {
	Entries bool   // an entry bundle; Level is 0
	Level   uint   // 0-63
	N       uint64 // at most MaxSize/256
	Width   int    // 1-256; 256: it is full
}

// FormatTilePath returns the path of a tile, relative to the log's prefix:
//
//	tile/0/x001/x234/067        hashes, full
//	tile/1/000.p/7              the first 7 of them
//	tile/entries/000.p/255      entries
func FormatTilePath(t Tile) string {
	return string(AppendTilePath(nil, t))
}

// AppendTilePath appends what FormatTilePath returns.
func AppendTilePath(dst []byte, t Tile) []byte {
	dst = append(dst, "tile/"...)
	if t.Entries {
		dst = append(dst, "entries"...)
	} else {
		dst = strconv.AppendUint(dst, uint64(t.Level), 10)
	}
	divisor := uint64(1000)
	for t.N/divisor > 0 {
		divisor *= 1000
	}
	for divisor /= 1000; divisor > 0; divisor /= 1000 {
		dst = append(dst, '/')
		if divisor > 1 {
			dst = append(dst, 'x')
		}
		group := t.N / divisor % 1000
		dst = append(dst, byte('0'+group/100), byte('0'+group/10%10), byte('0'+group%10))
	}
	if t.Width != TileWidth {
		dst = append(dst, ".p/"...)
		dst = strconv.AppendInt(dst, int64(t.Width), 10)
	}
	return dst
}

// ParseTilePath reads the path of a tile strictly: FormatTilePath of the result
// gives the same bytes. The error wraps ErrTilePath and names what is wrong.
func ParseTilePath(path string) (Tile, error) {
	bad := func(what string) (Tile, error) { return Tile{}, fmt.Errorf("%w: %s", ErrTilePath, what) }
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok {
		return bad("it begins with tile/")
	}
	t := Tile{Width: TileWidth}
	level, rest, _ := strings.Cut(rest, "/")
	if t.Entries = level == "entries"; !t.Entries {
		n, ok := parseSmall(level, maxTileLevel)
		if !ok {
			return bad("a level is entries or 0 to 63 in decimal")
		}
		t.Level = uint(n)
	}
	number, width, partial := strings.Cut(rest, ".p/")
	if partial {
		n, ok := parseSmall(width, TileWidth-1)
		if !ok || n == 0 {
			return bad("a width is 1 to 255 in decimal")
		}
		t.Width = n
	}
	if t.N, ok = parseTileNumber(number); !ok {
		return bad("a number is groups of three digits, each but the last behind an x, the first not x000")
	}
	return t, nil
}

// parseSmall reads a decimal number without a sign or leading zeros.
func parseSmall(s string, most int) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && n <= uint64(most) && strconv.FormatUint(n, 10) == s
}

// parseTileNumber reads the groups of a tile's number.
func parseTileNumber(s string) (uint64, bool) {
	n := uint64(0)
	for first := true; ; first = false {
		group, rest, more := strings.Cut(s, "/")
		if more && !strings.HasPrefix(group, "x") {
			return 0, false
		}
		digits := strings.TrimPrefix(group, "x")
		if len(digits) != 3 || !more && len(group) != 3 || first && more && digits == "000" {
			return 0, false
		}
		for _, c := range []byte(digits) {
			if c < '0' || c > '9' {
				return 0, false
			}
			n = 10*n + uint64(c-'0')
		}
		if n > maxTileNumber {
			return 0, false
		}
		if !more {
			return n, true
		}
		s = rest
	}
}

// TileWidthAt returns how many hashes tile n of a level has in the tree of a size,
// or entries where level is 0: 256 where it is full, 0 where there is none.
func TileWidthAt(level uint, n, size uint64) int {
	if level*tileHeight >= 64 {
		return 0
	}
	hashes := size >> (level * tileHeight)
	if n > hashes>>tileHeight {
		return 0
	}
	return int(min(TileWidth, hashes-n<<tileHeight))
}

// Within tells whether the tree of a size has all that t names.
func (t Tile) Within(size uint64) bool {
	return t.Width > 0 && t.Width <= TileWidthAt(t.Level, t.N, size)
}

// A TileFunc returns the bytes of a tile of hashes: Width of 32 bytes each. The
// caller does not change them.
type TileFunc func(Tile) ([]byte, error)

// NodesOf returns a NodeFunc over the tiles of the tree of a size. It asks for each
// tile at the width that it has there. What it returns is as good as the tiles are:
// a root or a proof made of it must be checked. It remembers one tile, and belongs
// to one goroutine.
func NodesOf(size uint64, tiles TileFunc) NodeFunc {
	var last Tile
	var bytes []byte
	return func(level uint, index uint64) (Hash, error) {
		inner := level % tileHeight
		t := Tile{Level: level / tileHeight, N: index >> (tileHeight - inner)}
		if t.Width = TileWidthAt(t.Level, t.N, size); t != last || bytes == nil {
			raw, err := tiles(t)
			if err != nil {
				return Hash{}, err
			}
			if len(raw) != t.Width*len(Hash{}) {
				return Hash{}, fmt.Errorf("%s has %d bytes, not %d", FormatTilePath(t), len(raw), t.Width*len(Hash{}))
			}
			last, bytes = t, raw
		}
		lo := int(index<<inner) & (TileWidth - 1)
		if lo+1<<inner > t.Width {
			return Hash{}, fmt.Errorf("%s does not hold node (%d,%d)", FormatTilePath(t), level, index)
		}
		return foldTile(bytes[lo*len(Hash{}):(lo+1<<inner)*len(Hash{})], inner), nil
	}
}

// foldTile returns the root of 1<<levels hashes.
func foldTile(hashes []byte, levels uint) Hash {
	if levels == 0 {
		return Hash(hashes)
	}
	half := len(hashes) / 2
	return HashNode(foldTile(hashes[:half], levels-1), foldTile(hashes[half:], levels-1))
}

// TileRoot returns the root of a full tile: the hash that stands for it in the tile
// above. It panics unless there are 256 hashes.
func TileRoot(hashes []byte) Hash {
	if len(hashes) != TileWidth*len(Hash{}) {
		panic("verify: TileRoot of a tile that is not full")
	}
	return foldTile(hashes, tileHeight)
}

// ParseBundle returns the entries of an entry bundle of a width: u16 big-endian
// length || bytes, and nothing behind the last. They alias raw; list is reused.
func ParseBundle(list [][]byte, raw []byte, width int) ([][]byte, error) {
	list = list[:0]
	for len(raw) > 0 {
		if len(list) == width {
			return list, fmt.Errorf("bytes behind entry %d, the last", width-1)
		}
		if len(raw) < 2 || len(raw)-2 < int(raw[0])<<8|int(raw[1]) {
			return list, fmt.Errorf("cut short in entry %d of %d", len(list), width)
		}
		end := 2 + (int(raw[0])<<8 | int(raw[1]))
		list = append(list, raw[2:end:end])
		raw = raw[end:]
	}
	if len(list) != width {
		return list, fmt.Errorf("%d entries, not %d", len(list), width)
	}
	return list, nil
}
