// Package importer sends the records of one foreign file to the log as one run.
//
//	m, err := mapping.Find("cloudtrail")
//	f, err := importer.Open("trail.json.gz", m)      // first pass: digest, count
//	defer f.Close()
//	summary, err := importer.Run(ctx, c, f, importer.Options{})
//
// The run's id is hash(import, SHA-256 of the decompressed bytes, name of the
// mapping, its version), and the record's number in the file is its number in
// the run. A record becomes an event, or a Declined with the reason why not, so
// that the numbers have no holes.
//
// # Again
//
// The same file is the same run, whatever its name and however it is packed.
// Numbers that the log holds are sent again and answered with the receipt of
// their first place, which is checked as any other: what counts as a duplicate
// is proven to be in the log, byte for byte. So an import that was killed goes
// on where it was, and a file that is imported twice adds nothing. Each record
// counts once: it is accepted (its event is new), a duplicate (its event was
// there) or skipped (it is no event; also when its Declined was there before).
package importer
