// Package audit checks a whole log by deriving it anew from its entries.
//
// It shares no code with the ledger that wrote the log: what it knows is the
// formats of package verify and the rules of verify/domains. It believes nothing
// but a checkpoint, and reads each entry once:
//
//	report, err := audit.Check(ctx, os.DirFS("mirror"), audit.Options{Policy: policy})
//
// # What is read
//
// A directory of c2sp.org/tlog-tiles@v0.1.0, which any program may have copied:
// checkpoint, tile/<L>/<N>, tile/entries/<N>, uncompressed, each at the width that
// it has at the size of the checkpoint. A narrower partial tile of an earlier
// size may stand beside it, and must be its beginning. Any other file under tile/,
// or beside it unless its name begins with a dot, is a fault: nothing proves it.
//
// # What is checked
//
//   - The checkpoint, under the policy, or under a later key of the log to which the
//     entries lead from one of the policy: [verify.Policy.Follow] has the rule.
//   - That the log begins with the trees of older checkpoints, under the policy or
//     another key that the log has had, and has not become shorter than one of them.
//   - Every entry is under its leaf, every tile under the one above, all under the
//     root of the checkpoint.
//   - Every entry has the wire grammar, and says where it stands: index, log time,
//     stream, position and the entries before it there and in its run.
//   - Runs have numbers without holes but for gap entries, each in its epoch; the
//     running hash is recomputed and must be the one that heartbeats and ends
//     state, under the producer's signature where there is one. The certificate of a
//     run opened or resumed is of the key in its batch head.
//   - Every close is computed again at its cut, with the tables of streams and
//     runs, and must be what the log has; closes follow one another without a hole.
//   - The log's own entries are under the keys that its rotations name, and so is the
//     checkpoint; what both keys signed in a retirement is of this tree; nothing
//     follows a succession.
//   - Verdicts follow from the domain map and the approvals before an access, and
//     alerts from all entries before: none more, and none missing that should be
//     there by now.
//
// What a log cannot prove is that what was never sent did not happen.
//
// # Cost
//
// Entries are hashed and parsed on every core and applied in order by one
// goroutine. Memory grows with streams and runs, not with entries.
//
// [State] is the part without files, for whoever has the entries otherwise.
package audit
