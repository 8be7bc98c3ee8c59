package verify

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hash is a SHA-256 sum.
type Hash = [32]byte

// leafOnStack is the longest entry whose hash input is built on the stack: a
// copy of that much costs less than the streaming interface.
const leafOnStack = 1023

// HashLeaf returns the leaf hash of an entry, SHA-256(0x00 || entry), as RFC
// 6962 has it. It does not allocate.
func HashLeaf(entry []byte) Hash {
	if len(entry) <= leafOnStack {
		var buf [1 + leafOnStack]byte
		n := copy(buf[1:], entry)
		return sha256.Sum256(buf[:1+n])
	}
	var prefix [1]byte
	var out Hash
	h := sha256.New()
	h.Write(prefix[:])
	h.Write(entry)
	h.Sum(out[:0])
	return out
}

// HashLeafAfter returns the leaf hash of b[1:]. It saves HashLeaf's copy: while
// it runs, b[0] holds the hash's prefix, and afterwards what it held before.
func HashLeafAfter(b []byte) Hash {
	kept := b[0]
	b[0] = 0
	h := sha256.Sum256(b)
	b[0] = kept
	return h
}

// HashNode returns the hash of an inner node, SHA-256(0x01 || left || right),
// as RFC 6962 has it. It does not allocate.
func HashNode(left, right Hash) Hash {
	var buf [65]byte
	buf[0] = 1
	copy(buf[1:33], left[:])
	copy(buf[33:65], right[:])
	return sha256.Sum256(buf[:])
}

// EmptyRoot returns the root of the empty tree, SHA-256 of nothing.
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// CompositeHash returns SHA-256("daybook/" label "/v1" || 0x00 || each part
// behind its u32 big-endian length). Labels in use: import, oneoff, alert,
// seal, run.
func CompositeHash(label string, parts ...[]byte) Hash {
	n := len("daybook/") + len(label) + len("/v1") + 1
	for _, p := range parts {
		n += 4 + len(p)
	}
	buf := make([]byte, 0, n)
	buf = append(buf, "daybook/"...)
	buf = append(buf, label...)
	buf = append(buf, "/v1\x00"...)
	for _, p := range parts {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(p)))
		buf = append(buf, p...)
	}
	return sha256.Sum256(buf)
}

// ImportRunID returns the id of the run that imports a file: hash(import,
// SHA-256 of the decompressed bytes, mapping name, u32 mapping version).
func ImportRunID(file Hash, mapping string, version uint32) Hash {
	return CompositeHash("import", file[:], []byte(mapping), binary.BigEndian.AppendUint32(nil, version))
}

// OneOffRunID returns the id of the run of a single event sent without a run:
// hash(oneoff, producer, event id).
func OneOffRunID(producer string, eventID []byte) Hash {
	return CompositeHash("oneoff", []byte(producer), eventID)
}

// SealCommitment returns the commitment to a sealed value: hash(seal, event id,
// u32 field, salt, value). The salt has 32 random bytes.
func SealCommitment(eventID []byte, field uint32, salt, value []byte) Hash {
	return CompositeHash("seal", eventID, binary.BigEndian.AppendUint32(nil, field), salt, value)
}

// AlertID returns the id of an alert: hash(alert, u32 type, subject, u64 start,
// u64 end), times in UTC nanoseconds.
func AlertID(typ uint32, subject string, startNS, endNS int64) Hash {
	return CompositeHash("alert", binary.BigEndian.AppendUint32(nil, typ), []byte(subject),
		binary.BigEndian.AppendUint64(nil, uint64(startNS)), binary.BigEndian.AppendUint64(nil, uint64(endNS)))
}

// RunStart returns the running hash of a run before its first number:
// hash(run, producer, run id).
func RunStart(producer string, run Hash) Hash {
	return CompositeHash("run", []byte(producer), run[:])
}

// RunNext returns the running hash after one more number: SHA-256(prev || u64
// big-endian number || body), where body is the SHA-256 of the body's bytes. A
// gap is one step under its first number. It does not allocate.
func RunNext(prev Hash, number uint64, body Hash) Hash {
	var buf [72]byte
	copy(buf[:32], prev[:])
	binary.BigEndian.PutUint64(buf[32:40], number)
	copy(buf[40:72], body[:])
	return sha256.Sum256(buf[:])
}

// HeartbeatMessage returns what a producer signs in a heartbeat:
// "daybook/heartbeat/v1" || 0x00 || h || u64 last || u64 epoch, big-endian,
// where h is the running hash after number last.
func HeartbeatMessage(h Hash, last, epoch uint64) []byte {
	return runMessage("daybook/heartbeat/v1\x00", h, last, epoch)
}

// EndMessage returns what a producer signs at the end of a run, as
// HeartbeatMessage with the label "daybook/end/v1".
func EndMessage(h Hash, last, epoch uint64) []byte {
	return runMessage("daybook/end/v1\x00", h, last, epoch)
}

func runMessage(label string, h Hash, last, epoch uint64) []byte {
	b := make([]byte, 0, len(label)+48)
	b = append(b, label...)
	b = append(b, h[:]...)
	b = binary.BigEndian.AppendUint64(b, last)
	return binary.BigEndian.AppendUint64(b, epoch)
}
