// Package client is the producer's side of Daybook: it opens runs, appends
// events to them, and returns a receipt only after it has checked it.
//
//	profile, err := client.LoadProfile("")           // $DAYBOOK_PROFILE
//	c, err := client.Dial(profile.Config())
//	defer c.Close()
//	run, err := c.OpenRun(ctx, client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
//	receipt, err := run.Append(ctx, client.Event(body))
//	err = receipt.WriteFiles("receipts", 0)          // INDEX.tlog-proof and INDEX.entry
//	_, err = run.End(ctx, "done")
//
// # Exactly once
//
// A run numbers its items from 1. Where an answer is lost, the same numbers are
// sent again, and the ledger answers a repeat with its first place; an item is
// in the log once whatever happens to the connection. What a process loses with
// its memory it resends after ResumeRun, from the number the ledger expects.
//
// # Who signs
//
// While a run is open the client sends heartbeats by itself, and a last statement
// when the run ends: each signs the running hash of the event bytes with the
// producer's key, so that the ledger can put no words into its mouth. Only what
// the ledger has acknowledged is signed. A run that declares a silence limit
// (RunOptions.SilenceLimit) and then has no entry for longer is reported by the
// ledger. A process that another one with its identity took the run over from
// gets a *TakenOverError, for good.
//
// # What is checked
//
// Of every append (or of one in Config.CheckEvery): the entry bytes are joined
// from the ledger's heads and our own body; the heads' grammar, producer, run,
// epoch, kind, number and index are compared with what was sent; the entries'
// hashes must lead to the checkpoint's root by the range proof; the checkpoint
// must carry the signature of the log's key.
//
// # The log's witness
//
// A client remembers the newest checkpoint it has seen in Config.State and
// presents it when it opens or resumes a run: a log that has lost entries since
// then stays shut. It also asks the log to prove that what it saw earlier is a
// prefix of what it sees now: when a run opens, resumes and ends, and between
// them once in Config.ProveEvery. Checkpoints between two such proofs rest on
// their signature; the signed checkpoint stays in each receipt, so that an
// auditor can compare them later. A log that cannot prove it is reported as a
// *ForkError, which carries both signed checkpoints.
package client
