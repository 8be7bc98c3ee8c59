// Package bundle is the examination file: one file that answers a question
// offline.
//
// A question asks for accesses, streams, a range of entries or the whole log; see
// package question. [Build] writes the answer of a [Source], [Check] checks one. What this comment
// says is the specification; testdata has a bundle of each kind. Integers are
// big-endian unless the format named says otherwise; hashes are SHA-256. An entry is
// *known* if its bytes are in the file. A split bundle has *parts*, each a bundle by
// itself.
//
// # Fold
//
// A tree of n leaves is folded from known leaves, ascending, and from given hashes
// of what lies between. The gap [from, to) between two known leaves is cut as [Gap]
// says, so that the indexes alone fix how many hashes there are; they stand in that
// order, 32 bytes each, with nothing between. All is appended in order to one
// [verify.Frontier], whose root is the tree's. So are folded the log's tree, the
// table of streams of a close, and the tree of each stream.
//
// # Zip
//
// Members are stored without compression in the order below; zip.go has every byte
// of the headers, which a verifier makes again from the manifest and compares.
// Nothing stands between members or behind the last header. A size, an offset or a
// number of members that a plain zip has no room for stands where zip64 has it, and
// zip64 is there for nothing else: files of less than 4 GiB and 65,535 members are
// plain. A file has at most 1 TiB, 400,000 members beside the manifest, and 64 MiB
// of manifest, about 50 million entries of a whole log. JSON has the one form of
// package canonical, so that each value has one encoding. No member is empty. Those
// of one line ascend by the bytes of their names; other names are refused.
//
//	question.json       the question
//	answer.json         which part of the answer, of which checkpoint
//	policy.txt          the log's own policy: what the file says of itself, never trusted
//	checkpoint          the archived signed note; its size is N
//	checkpoints/<size in 20 digits>.note, .proof
//	                    earlier checkpoints: the first archived one that covers each close of the window, and
//	                    for each key rotation one by which the key before vouches for the new one: the first
//	                    archived, or that of the retirement; at most 400, each with the consistency proof to
//	                    the next one's size, the last to N
//	governance.bin      governing entries
//	rows.bin            known rows of the table of streams
//	rows.hashes         gaps of that table
//	streams.bin         of each selected stream what is known, and the gaps of its tree
//	entries/<6 digits from 000001>.bin
//	                    all other known entries
//	log/...             in place of the six above in a range or a whole log: tlog-tiles
//	tree.hashes         gaps of the log's tree at size N
//	numbers.bin         hashes of bodies that are not in the file
//	maps/<index of the domain map in 20 digits>.yaml
//	data/columns.csv, data/accesses-<3 digits>.csv, data/accesses-<3 digits>.jsonl,
//	data/alerts.csv, data/approvals.csv, data/closes.csv, data/runs.csv, README.txt, report.html
//	                    made anew by the verifier, and compared: package report
//	manifest.json       size and SHA-256 of all others
//
// # Answer
//
// answer.json names the log's origin and N; the *close*, the newest one whose entry
// is below N, and its *cut*; the part and how many there are; the part's index window
// [first, end): all parts together cover [0, cut), of a range the range, and no part
// leaves a hole. Of streams it names, too: domains, those of the producers of this
// part's answers, ascending, no others; the window of runs [runs_first, runs_end),
// which holds the window; and runs, those of the answers whose numbers are shown,
// ascending by producer and id. The domain of a producer is [verify.ProducerDomain],
// where it has none [verify.CanonicalDomain] of what is before the first slash.
//
// # Which streams
//
// Governing kinds are origin opened, domain map, approval, revocation, key rotation,
// succession and part: all of their entries below the cut are known, those of
// governance.bin. A selector stands for the ids that expand says under every version
// of the map below the cut; a question for accesses selects the streams of accesses
// whose source and target ids are such, of any side, late or not; one for streams
// those that it names. Selected are also the stream of closes; the alerts of each
// pair of a selected stream of accesses, and those of no pair; and for each of the
// answer's domains its streams of declined, gap, run opened, run resumed, heartbeat
// and run ended.
//
// The keys of all of these lie in intervals, each of the keys that begin with a
// prefix: the kind for governing kinds, for closes, and for accesses from any
// source; kind, length and source for accesses from a source; else the whole key. Of
// each interval all rows of the close's table are known, and the row before and
// the row after where the table has one, and no others. So a stream that is not
// there is shown not to be: an answer of zero is proved.
//
//	rows.bin     u64 row || row as [verify.Row] has it, ascending
//	streams.bin  for each selected row, in order: u64 a || u64 b || gap [0, a) || gap [b, count)
//
// # Which entries
//
// Of a selected stream the entries at the positions [a, b), a < b, are known: all in
// the window, the nearest one before and the nearest one after, if there are. An
// entry is before the window if its index is below first, or its log time before
// that of the question; else after it if its index is at or above end, or its log
// time at or after the question's end. Entries about the runs of the answer's
// domains have the window [runs_first, runs_end) in its place, but of run opened and
// run resumed none is before it. Where the first known entry is not before the
// window a is 0, where the last is not after it b is the stream's count: so nothing
// in the window is left out. At most one is before, one after. Each says its
// position and the entry before it, and they lead to the root in the stream's row.
// By time of occurrence the window of log times begins a day before the period and
// has no end.
//
// governance.bin and entries/*.bin hold u16 length || entry, ascending by index; an
// entries file ends where the next would make it longer than 32 MiB. The last of
// governance.bin is the close itself. Both merged are the known leaves of the log's
// tree; its fold gives the close's root at the cut, and the checkpoint's at N.
//
// An access of a selected stream in the window, which also occurred in the period
// where the question is by time of occurrence, is an answer.
//
// # Numbers
//
// Known entries move the runs that answer.json names. A run is anchored by its
// opening in the window of runs, with the running hash before number 1, or by a
// heartbeat or end there under its producer's signature; the key is in the
// certificate of the newest run opened or resumed, and is that of the entry's batch head;
// later entries may be under another, since a producer renews its certificate while a
// run goes on. From the anchor on number k is expected
// after number k-1: where an entry, or what a resumption, heartbeat or end says was
// the last, is further on, numbers.bin has the hashes of the bodies between, in the
// order in which they are needed, 32 bytes each, all of it and no more. What a
// resumption, heartbeat or end states must then be the running hash, and a
// signature must verify. Entries outside the window of runs move no run, but a
// run opened or resumed before it gives its certificate. A run is whole if each of
// its answers came after the anchor, a signature later covers the last, and no
// number was taken from numbers.bin: that the log has an entry of which there is but
// a hash is not shown.
//
// An event sent alone, whose run is [verify.OneOffRunID] and number 1, is in none.
//
// # Tiles
//
// The answer for a range or a whole log is a directory under log/ as
// c2sp.org/tlog-tiles@v0.1.0 has it, at the widths at size N: the checkpoint again;
// the entry bundles that overlap the window; at each level the tiles over it, and
// the partial tile at the right edge. The right edge gives the root, each full tile
// the hash in the tile above, each bundle its lowest tile. A whole log is derived
// anew by package audit. A range shows neither runs nor maps whole: it claims
// neither.
//
// # Keys
//
// The keys that the log has had follow from the known entries of the kind key
// rotation, as [verify.KeyChain] has it; those of them that may sign N must have
// signed the checkpoint, or a key that the entries below the cut do not name.
// An earlier checkpoint opens under the file's own policy, or under one of these
// keys that may sign its size, whether its witnesses cosigned it or not. In a
// whole log the root of a checkpoint in a retirement is that of the log at its size.
//
// Where the checkpoint does not open under the examiner's policy, it opens under
// what [verify.Policy.Follow] makes of that policy by the earlier checkpoints, of a
// whole log by those in the retirements. A range shows no keys, and is not followed.
// A checkpoint that the examiner holds opens under the policy, or under one of the
// log's keys that may sign its size; what a compromised key alone has signed, only up to N.
//
// # Claims
//
// The five claims, in their order, are those of package report; claims.go has the
// words. A claim is proved, not claimed or failed. Verdicts and the ids of alerts are
// computed again by [domains.Judge]: a difference fails the fourth, what a producer
// signed and is not so the third; all else that is wrong is a [Fault], and ends the
// check. Derived members speak of the file under its own policy. The verdict is
// under the examiner's: without one SELF-CONSISTENT at best, since whoever made the
// file could have made all of it. Comments in the file's policy, and signatures of
// keys that it does not name, are not looked at.
//
// Alerts of gaps and silences are of no pair: of every producer they are in the file, also
// where it has no answer and none of the runs. The summary counts them by producer; where
// it has any, or a gap in the window, the best verdict is VERIFIED WITH DECLARED GAPS:
// what was lost could have been an answer.
//
// The second claim is not made where the period goes on after the close, of a part
// alone, and where a word of a side is *unknown*: no version of the map has a domain
// that the side selects; and none has a domain of that tier, function or owner, or
// that the domain word resolves to, nor has a known row of accesses the domain word's
// canonical form as source or target. (Before the first map names are their own ids: a
// name with a stream is known although no map has it.) Where each word of the side is
// known, all of them together are not. The verdict stays: the log has no access under
// that name, which is proved; nothing was disproved, and the log declares nothing as
// lost, as the other verdicts say. But zero accesses of a name that is misspelled, by
// mistake or not, look like zero of what was meant: so whoever shows a verdict shows
// the unknown words beside it.
package bundle
