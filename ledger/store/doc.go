// Package store is the ordered key-value contract under the ledger, with the
// map of its key space.
//
// Keys are compared bytewise. The first byte of a key names its table; integers
// in keys and values are big-endian. A key has at most [MaxKey] bytes, a value
// at most [MaxValue].
//
//	table        key                                 value                                  written by
//	a identity   'a'                                 format version, origin, vkey           Commit, once
//	h head       'h'                                 u64 term, u64 size, root[32], i64 ns   Commit, each time
//	f frames     'f' || u64 first index              frame of a complete entry bundle       Commit, once
//	g growing    'g' || u64 first index              frame of a part of the last bundle     Commit, once
//	t tiles      't' || u8 level || u64 n            256 hashes, 8192 bytes                 Commit, once
//	c commits    'c' || u64 size                     root[32], i64 ns, u64 term             Commit, once
//	o openings   'o' || ...                          sealed openings, encrypted             Commit, once
//	n archive    'n' || u64 size                     u8 why, checkpoint with cosignatures   Commit, again
//	p position   'p'                                 the follower's position                Derive
//	r runs       'r' || ...                          snapshot of a run                      Derive
//	s streams    's' || stream key                   snapshot of a stream                   Derive
//	i index      'i' || ...                          postings, values (package index)       Load, once
//	k closes     'k' || i64 period end || ...        tables of a close                      Load, once
//	d tally      'd' || ...                          counts of the period, detectors        Derive
//	v verify     'v' || ...                          state of the background verification   Derive
//
// The commit that completes an entry bundle deletes its parts from g. For example
// the bundle that starts with entry 256 is kept at
//
//	66 00 00 00 00 00 00 01 00
//
// and the head of a log of 3 entries in its second term is
//
//	68 -> 0000000000000002 0000000000000003 <32 bytes of root> 18d2a1f03c1e8000
//
// # What must never be lost
//
// The tables a, h, f, g, t, c, o and n are the log: they are written by
// [Engine.Commit] alone, in one synced atomic batch that also carries the new
// head. A row of n may be written again, with more cosignatures, and deleted; what
// outsiders signed cannot be derived. The tables p, r, s, i, k, d and v are derived: they are functions of the
// log, are written without a sync, and whatever a crash takes of them is
// computed again. Only derived tables may be range-deleted.
//
// # Order of commits
//
// Commits are pipelined: a commit may be submitted before the ones before it
// are durable, up to [Engine.InFlight] of them. Each names the head it follows;
// an engine refuses one that does not follow the last submitted head. Tickets
// resolve in the order of submission. After a crash a store holds a prefix of
// what was submitted, and in it everything whose ticket had resolved without
// error. The first failure poisons the engine: it and every later write answer
// [ErrPoisoned], and only opening the store anew shows what is there.
//
// # Readers
//
// Reads may run at any time beside writes. A read may show a commit that is not
// durable yet: whoever must not see it takes its horizon from the head whose
// ticket has resolved, never from here. One scan sees one state.
package store
