// Package ledger is the one writer of a log: it admits, sequences, integrates,
// commits and publishes entries, and reads them back with proofs.
//
// # The way of an append
//
//	caller      admit: wire grammar, fields, openings     parallel, no state
//	sequencer   index, time, number, stream, verdict      one goroutine owns all state
//	            leaf hashes and frames in parallel, tree
//	            Commit: ONE synced batch                  pipelined, Engine.InFlight at most
//	publisher   wait for the ticket, sign, swap head,     in order
//	            wake the waiters
//	caller      build the receipt from the published head parallel
//	follower    re-read from disk, re-hash, index,        behind the head, derived only
//	            snapshot runs and streams, make closes,
//	            look for what calls for an alert
//	closer      append the closes the follower made
//	archive     keep checkpoints with the cosignatures of outsiders, in rows that
//	            ride in a commit
//
// What waits when a commit ends forms the next commit: there are no timers. The
// follower alone waits, 2 ms at most, for more commits to read at once; and while
// it is over 32,768 entries behind, the sequencer waits for it.
//
// # Invariants
//
//   - durable-first: nothing leaves the ledger (receipt, repeat's answer, read,
//     signature) before the ticket of the commit that holds it has resolved.
//   - one-time: one log time for each commit, never going back.
//   - one-stream: every entry is in exactly one stream, at the position that is
//     the number of the stream's entries before it.
//   - one-number: a run's numbers are taken once each, without holes; a repeat
//     of the same bytes is answered with its original place, for ever.
//   - one-alert: an alert stands once in the log for each id; a silence past a
//     run's limit has one, before the run's next entry; what a detector finds has
//     one, before the next close.
//   - derived: runs, streams, postings, what detectors know are functions of the entries; replay is
//     the one code path that derives them from bytes, for open, follower, fsck and
//     the background verification. The follower takes over what the sequencer
//     derived of an entry only where the bytes on disk have the hash that was
//     integrated.
//   - poisoned: the first failed commit ends the process; what was submitted is
//     then a prefix that holds all that was acknowledged.
//   - closed-once: every UTC day has one close, or one part after the other; the
//     follower makes it at its cut, and takes no snapshot beyond a cut whose close
//     is not in the log.
//
// # Shut
//
// A log opens shut when it cannot know that it is the newest copy of itself: it
// reads, but neither appends nor signs. See [Open]. Where it has witnesses, they are
// asked first whether it is; a checkpoint under the log's own key that contradicts
// it, whoever presents it, shuts it at any time.
//
// For example:
//
//	l, err := ledger.Open(ctx, ledger.Config{Store: engine, Signer: signer, VKey: vkey})
//	go l.Run(ctx)
//	receipt, err := l.Append(ctx, producer, ledger.Batch{Run: run, Epoch: 1, First: 1, Items: items})
package ledger
