// Package index finds the entries that may hold given values: the secondary
// index over the log, derived from it and rebuilt from it at will.
//
// # Chunks
//
// The log is cut into chunks of 65,536 entries. The newest, incomplete chunk is
// in memory; a complete one becomes one sorted table file, written once. Keys
// have the chunk first, so that a new chunk never overlaps an old one. A chunk's
// keys are, after the table's prefix,
//
//	'i' || u64 chunk || 00 || 00             header
//	'i' || u64 chunk || u8 field || u8 top   bucket of a field
//
// The position, up to which entries are in tables, is the end of the last
// chunk: chunk and position appear at once, in one load.
//
// # Buckets
//
// A value is known by a 32-bit hash. The bucket of its field and of the hash's top 8
// bits lists the offsets in the chunk at which it occurs. A value with 32 hits or
// more has its own list, of u16 offsets, or from 4,096 hits on a bitmap of 8,192
// bytes (bit o%8 of byte o/8); the others share a list of postings. Integers are
// big-endian:
//
//	u16 number of frequent values
//	for each, ascending: u24 rest of the hash || u16 hits, 0 for a bitmap
//	for each: its offsets, ascending, or its bitmap
//	postings, ascending: u24 rest of the hash || u16 offset
//
// A bucket in which only hash aa000001 occurs, at offsets 7 and 9, is
//
//	0000 000001 0007 000001 0009
//
// A header is
//
//	u8 version || u32 entries || i64 min, max log time || i64 min, max occurred_at
//
// with times in UTC nanoseconds, both 0 where no entry has one.
//
// # Candidates
//
// Two values may share a hash, so what a search returns are candidates: whoever
// asks reads the entry and compares. No entry that holds the value is missed.
//
// # Versions
//
// An index of another version is deleted at open and built anew from entry 0.
package index
