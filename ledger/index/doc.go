// Package index finds the entries that may hold given values: the secondary
// index over the log, derived from it and rebuilt from it at will.
//
// # Chunks
//
// The log is cut into chunks of 65,536 entries. The newest, incomplete chunk is
// in memory; a complete one becomes one sorted table file, written once. When 16
// adjacent chunks, from a multiple of 16 on, are complete, they are merged into
// one table of 1,048,576 entries, so that a rare value costs one read for a
// million entries. Keys have the table first, so that a new table never overlaps
// an old one. They are, after the store's prefix,
//
//	'i' || u8 level || u56 number || 00 || 0000           header
//	'i' || u8 level || u56 number || u8 field || u16 top  bucket of a field
//	'i' || ff || u8 field || value                        a value of the dictionary
//
// where level 0 is a chunk and level 1 a merged table. The position, up to which
// entries are in tables, is the end of the last chunk or merged table: a chunk,
// its values in the dictionary and the position appear at once, in one load.
//
// A merged table appears at once too. From then on it wins over its chunks, which
// are deleted after it; where a crash left them they are deleted at the next
// start of [Index.Maintain]. A search that read a chunk while it was merged away
// notices and reads the merged table.
//
// # Buckets
//
// A value is known by a 24-bit hash; that of a number is the number. A bucket
// holds the hashes that share their top bits, 8 of them in a chunk and 12 in a
// merged table, and the offsets in the table at which each occurs. A value with 8
// hits or more has a list of its own; the others share the postings. Integers
// are big-endian:
//
//	uvarint number of lists
//	for each, ascending: u16 rest of the hash || uvarint length of the list * 4 + form || list
//	postings, where there are any: u8 k || for each, ascending:
//	    distance of the rest from the one before, in Rice code k || offset, 16 or 20 bits
//
// A list has the form that is shortest:
//
//	0 hits    u8 k || gaps between the offsets that are in, in Rice code k
//	1 misses  the same of those that are not; empty: all are in
//	2 bitmap  bit o%8 of byte o/8
//	3 runs    u8 k || u8 l || for each run of adjacent offsets: gap before it, in
//	          Rice code k, and its length less 1, in Rice code l
//
// A gap is the distance from one past the offset before, at first from 0. Bits
// fill bytes from the lowest; the last byte is filled up with ones. A number in
// Rice code k is its bits from k on as that many ones and a zero, then its k low
// bits. The bucket of the top aa in a chunk, with aa0001 at 7 and 9 to 15 and
// aa0002 at 9, is
//
//	01 0001 0c 00 7f01 0f 04000900
//
// A header is
//
//	u8 version || for each chunk: u32 unlisted || i64 min, max log time || i64 min, max occurred_at
//
// with times in UTC nanoseconds, both 0 where no entry has one. Searches by time
// leave out chunks by it.
//
// # Dictionary
//
// The fields of text, those in which people look for what they half know, have a
// dictionary: a row for each value, with the u64 number of the first chunk that
// has it, written once. A search by prefix is a search for any of the values with
// the prefix. A value of over 400 bytes stands with its first 400 and its hash.
// In memory are the values of the chunk in memory, and a cache of bounded size of
// values that are known to be listed; whether another is listed is looked up.
//
// A field of which half of the entries of a chunk have a value of their own is
// an id there, and listing it would take more room than the rest of the index:
// its bit is set in unlisted, the dictionary does not have these values from
// this chunk, and to a search by prefix each entry of the chunk is a candidate.
// Event ids, correlation ids, runs and credentials are such ids always: they are
// searched whole. An index of their prefixes was left out because it would take
// as much room as the ids, 8 bytes an entry, for a question that the time and the
// actor of an access answer too.
//
// # Fields without values
//
// Flow, and tier, function and owner of each side, come from the domain map that
// was in force for an entry. Their numbers are reserved and nothing is indexed
// under them: whoever searches by them asks for the domains that the map of the
// time gives them, see [Match], for each version of the map apart.
//
// # Candidates
//
// Two values may share a hash, so what a search returns are candidates: whoever
// asks reads the entry and compares, see [Values.Holds]. No entry that holds the
// value is missed.
//
// # Versions
//
// An index of another version is deleted at open and built anew from entry 0.
package index
