package verify

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// MaxSize is the largest size of a log: sizes and indexes fit an int64.
const MaxSize = 1<<63 - 1

// Frontier is what a tree must remember to grow: the roots of the complete
// subtrees its size decomposes into. The zero value is the empty tree. It is
// not safe for concurrent use; a copy by assignment shares Nodes, see Clone.
type Frontier struct {
	Size  uint64 // number of leaves, at most MaxSize
	Nodes []Hash // complete subtrees, largest first: one for each bit set in Size
}

// Append adds a leaf hash. It allocates only where Nodes must grow, at most 63
// times in the life of a log.
func (f *Frontier) Append(leaf Hash) {
	for s := f.Size; s&1 == 1; s >>= 1 {
		last := len(f.Nodes) - 1
		leaf = HashNode(f.Nodes[last], leaf)
		f.Nodes = f.Nodes[:last]
	}
	f.Nodes = append(f.Nodes, leaf)
	f.Size++
}

// AppendTree adds a complete subtree of 1<<level leaves at once, by its root:
// the same as its leaves one by one. It panics unless the size is a multiple of
// 1<<level, which only a caller's mistake brings about.
func (f *Frontier) AppendTree(level uint, root Hash) {
	if f.Size&(1<<level-1) != 0 {
		panic(fmt.Sprintf("verify: subtree of level %d at size %d", level, f.Size))
	}
	for s := f.Size >> level; s&1 == 1; s >>= 1 {
		last := len(f.Nodes) - 1
		root = HashNode(f.Nodes[last], root)
		f.Nodes = f.Nodes[:last]
	}
	f.Nodes = append(f.Nodes, root)
	f.Size += 1 << level
}

// Root returns the RFC 6962 root at the current size.
func (f *Frontier) Root() Hash {
	if len(f.Nodes) == 0 {
		return EmptyRoot()
	}
	last := len(f.Nodes) - 1
	root := f.Nodes[last]
	for i := last - 1; i >= 0; i-- {
		root = HashNode(f.Nodes[i], root)
	}
	return root
}

// Clone returns a copy that shares no memory with f.
func (f Frontier) Clone() Frontier {
	return Frontier{Size: f.Size, Nodes: slices.Clone(f.Nodes)}
}

// AppendBinary appends u64 big-endian size || nodes, largest first.
func (f Frontier) AppendBinary(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, f.Size)
	for i := range f.Nodes {
		dst = append(dst, f.Nodes[i][:]...)
	}
	return dst
}

// ParseFrontier reads what AppendBinary wrote. The result shares no memory
// with b.
func ParseFrontier(b []byte) (Frontier, error) {
	if len(b) < 8 {
		return Frontier{}, fmt.Errorf("frontier: %d bytes, want at least 8", len(b))
	}
	size := binary.BigEndian.Uint64(b)
	if size > MaxSize {
		return Frontier{}, fmt.Errorf("frontier: size %d, limit %d", size, uint64(MaxSize))
	}
	n := bits.OnesCount64(size)
	if len(b) != 8+32*n {
		return Frontier{}, fmt.Errorf("frontier: %d bytes, want %d for size %d", len(b), 8+32*n, size)
	}
	f := Frontier{Size: size}
	for b = b[8:]; len(b) > 0; b = b[32:] {
		f.Nodes = append(f.Nodes, Hash(b[:32]))
	}
	return f, nil
}
