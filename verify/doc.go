// Package verify is what an auditor needs to check a daybook log offline: its
// formats, and the proofs over them. The ledger uses it too, so that it can
// issue only what the auditor accepts.
//
// It does no I/O and knows no network. Parsers are strict: what is taken has
// exactly one encoding. Everything is safe for concurrent use but [Frontier] and
// [ReceiptChecker]. What this comment says is the specification; the cases in
// testdata/conformance go with it. Integers are big-endian unless they are in a
// protobuf message.
//
// # Entry
//
// An entry is what the log keeps: a daybook.v1.Entry of three parts, each
// marshalled once, in the order of their numbers:
//
//	1 head   bytes of a BatchHead: the same for all entries of an append
//	2 place  bytes of an EntryHead: what the ledger assigned to this entry
//	3 body   the message that place.kind names, as it was submitted
//
// The body has 1 to 61,440 bytes, the rest with all tags and lengths at most
// 4,000, so that an entry fits the 65,535 bytes of tlog-tiles. The stored bytes
// are hashed, served and exported, never a re-marshalling. The leaf hash is
// SHA-256(0x00 || entry), inner nodes SHA-256(0x01 || left || right), the tree
// is RFC 6962's. A field or value that this package does not know, in a head or
// in a body other than an event, is of a later format: [ErrNewer], never a
// failure.
//
// # Wire grammar
//
// Heads and bodies are protobuf messages in one encoding only. Refused are: a
// field number lower than one before it; a singular field twice; a varint, tag
// or length that is not minimal or over its type; another wire type than the
// schema's; groups; a string that is not UTF-8; a zero or empty value written
// where the field has no presence of its own (only `optional` fields do);
// repeated numbers that are not packed; a list that must ascend and does not
// (attributes by key, sealed by field, counts by value, lists of indexes). The
// limits of each field are its (limits) option in the schema: required, longest,
// shortest, most elements. Unknown fields of an event are kept, 4,096 bytes of
// them in all.
//
// Sealed values of an event are absent from it and count as present. Their
// number is n for field n, 100n+m for field m of the message in field n (which
// must be there, if empty), 1500+i for the value of attribute i, from 0. Fields
// that place or judge an entry, or that a commitment is made of, cannot be
// sealed: 1, 2, 3, 5, 6, 10, 11, 15, 16, 501, 601, 1101.
//
// # Composite hashes
//
// hash(label, part...) = SHA-256("daybook/" label "/v1" || 0x00 || each part
// behind its u32 length):
//
//	hash(import, SHA-256 of the file, mapping name, u32 mapping version)  run of an import
//	hash(oneoff, producer, event id)                                      run of a lone event
//	hash(alert, u32 type, subject, u64 start, u64 end)                    alert id
//	hash(seal, event id, u32 field, salt, value)                          commitment
//	hash(run, producer, run id)                                           start of a running hash
//
// The running hash after number k of a run is h(k) = SHA-256(h(k-1) || u64
// number || SHA-256(body)), h(0) = hash(run, ...). A producer signs
// "daybook/heartbeat/v1" || 0x00 || h || u64 number || u64 epoch, and at the end
// of a run the same behind "daybook/end/v1": with Ed25519, or with ECDSA on P-256
// over SHA-256 of it in ASN.1 form. A heartbeat states the number and the running
// hash of the run at the entry before it, exactly, so that whoever walks a run in
// order and keeps one hash can check each one as it comes; so does the end.
//
// # Stream
//
// Every entry is in one stream, whose key is
//
//	u8 kind || u8 length || source id || u8 length || target id || u8 side || u8 late
//
// with side 0 none, 1 source, 2 target, 3 gateway, 4 collector. Side and late are
// 0 but for an access. Until a domain map is in force a domain's id is its name
// in ASCII lower case without one trailing dot; where that is empty, over 63
// bytes or outside [a-z0-9.-], it is "x-" and the first 32 hex digits of SHA-256
// of the name as sent. The stream's tree is RFC 6962's over its entries.
//
// # Close
//
// [CheckClose] specifies a close, [TableBuilder], [Row] and [RunRowKey] its
// tables, [CheckCloseEntry] and [CheckCloseChain] where it stands, [CheckAbsent]
// what proves that a table has no row, and [FormatSlip] the line that is mailed
// of it.
//
// # Range proof
//
// The range proof of the entries [i, j) in the tree of size n, i < j <= n, is a
// list of hashes. Let lo = i, hi = j-1, last = n-1. At each level, from the
// leaves up, while last > 0: where lo is odd, node lo-1; then, where hi is even
// and hi < last, node hi+1, whose hash covers the leaves up to n; then all three
// are halved. The count is fixed by (i, j, n), any other is refused. The proof of
// one entry is its RFC 6962 inclusion proof. A frontier is u64 size || the roots
// of the complete subtrees that size decomposes into, largest first.
//
// # Texts
//
// Checkpoints are c2sp.org/tlog-checkpoint@v1.0.0 without extension lines in
// c2sp.org/signed-note@v1.0.0, sizes at most 2^63-1, origins at most 255 bytes;
// cosignatures c2sp.org/tlog-cosignature@v1.1.0-rc.1, types 0x04 and 0x06;
// policies c2sp.org/tlog-policy (draft of 2026-06-22), any one of whose logs
// suffices; tiles and entry bundles c2sp.org/tlog-tiles@v0.1.0; receipts
// c2sp.org/tlog-proof (draft of 2026-05-22), with the entry's bytes in a file
// beside it. The signature of a key that the policy names must
// verify, or the whole note is refused; those of other keys are ignored. A
// consistency proof file has one base64 hash on each line.
//
// # Example
//
// Entry 2 of a log of five, its running hash, and its receipt:
//
//	head   0a7508011100617ba80d7dbe181a1e7370696666653a2f2f7765622e6578616d
//	       706c652f676174657761792d3122206feecc8c16c5551d9feb3eb5f77e2da773
//	       bf68bd9ef9c52927ceb2c86e56892b28013220b945d8cb026e35c60833784211
//	       0ea5e87d6fa88af28b59fc2bec4292be849e2e3801480112
//	place  100802100218012201612a016250025804
//	body   1a2e0a01011101000000000000002a030a016132030a01623a090a07756e6b6e
//	       6f776e4205080a12016f50045a020805
//
//	leaf   d95dcd8f66bcdde887812e6387ea3814e99755a47cbeb4d90fd21cb8695ad0f2
//	stream 02016101620000
//	h(0)   67f3b63c7dd55f75f2ad851fbae97891c92a177c6fcde3e0c23987fb80744cc6
//	h(1)   0957c6bf64035d8905741a3829de51be46f610c774b7dd3ff7f619437959f223
//	range proof of [2, 4) at size 5
//	       36e121cabce39a768ab0fe71fc695c3d1398520fa7440103838ab5590e77298d
//	       8fb7c875c7079c0b165729f618e5c14242b6094d7a3307362fac0b692cee14da
//
//	c2sp.org/tlog-proof@v1
//	index 2
//	3eq02S7/YdyzJ1aPtRwmXEyvWWq09+3TqSGoJFv7Dis=
//	NuEhyrzjmnaKsP5x/GlcPROYUg+nRAEDg4q1WQ53KY0=
//	j7fIdccHnAsWVyn2GOXBQkK2CU16Mwc2L6wLaSzuFNo=
//
//	demo.invalid/log-0badcafe
//	5
//	qVtfwStLfHT/XNib2a1iX+3Z8dQWgIkJ6YqemoWjeaI=
//
//	— demo.invalid/log-0badcafe RyBvc2TjgTLh4UaSrMUOCRvd4MXn0CtebhWBJbsWvvijKouLvk0ZadY2MfXlqhMxMfq+fWgeNq8U0/YX+9ktAbIL3wI=
package verify
