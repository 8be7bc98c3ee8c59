// Package report words what a bundle proves for people to read.
//
// A [Writer] takes the answers, alerts and closes of a bundle as they pass by and
// writes the members of data/, README.txt and report.html. All of it is a pure
// function of what the writer is handed, so that a verifier makes it again and
// compares every byte. The fixed texts are three files in words/: words.json,
// report.html, README.txt. What this comment says is all that another
// implementation must know besides; testdata has inputs and outputs.
//
// # Templates
//
// A template is text with tags. Everything outside of tags stands as it is, line
// ends and spaces too.
//
//	{{name}}               the value's text
//	{{#name}}...{{/name}}  a section: for each element of a list, inside that element's
//	                       scope; once inside a scope; once where the value holds
//	{{^name}}...{{/name}}  once where the value does not hold
//	{{>table name}}        the template that words.json has in picks, in that table,
//	                       under the value's text, else under "*", else nothing
//
// A value is a text, a condition, a list of scopes, or a scope, or is missing. Missing
// values, empty texts, conditions that do not hold and empty lists do not hold. Only
// a text has text. A name is looked up from the innermost scope outwards: the first
// scope that has it, even as an empty text, counts. A name with a dot is looked up by
// its first part so, by the second in that scope alone. In report.html the text of a
// value has & < > " ' written as &amp; &lt; &gt; &#34; &#39;; elsewhere it stands as
// it is. A count is a scope of n (the number, a comma before each three digits),
// one (it is 1) and any (it is not 0). The elements of each list have the conditions
// first_of and last_of beside their own values.
//
// # Texts
//
// Shown text is a text in which each character that cannot be seen or reorders what
// is read is written as <U+000A>, upper-case hex digits, at least four. These are
// 0000-001F, 007F-009F, 00AD, 061C, 180E, 200B-200F, 2028-202E, 2060-206F, FEFF,
// FFF9-FFFB, E0000-E007F. A byte that is no UTF-8 is written as <0xff>. In a phrase
// 201C and 201D, which quote it, are written so too, and then, where it has over 200
// characters, only the first 197 stand, and three dots.
//
// Bytes (event_id, correlation_id, corrects) are the text that they are where all are
// of 0x20-0x7E and do not begin with 0x, else 0x and hex digits. All hex digits of
// bytes are lower case.
//
// Times are 2026-05-17T10:01:40.123450000Z; local ones have the offset that is in
// force by the question's offsets, the last whose from is not after the time's
// second, else the first: 2026-05-17T06:01:40.123450000-04:00, with :ss behind it
// where the offset has seconds. There are no local times without a period, nor
// where all its offsets are 0. In words a time has a space for the T, a space before
// the offset, " UTC" for the Z, and of its nine digits the last groups of three
// zeros are left out, the point with them: 2026-05-17 10:01:40.123450 UTC.
//
// Words of enums are those of package domains: the name's last part in lower case
// with dashes; 0 is missing, a number that is not known its digits.
//
// # Tables
//
// words.json has the columns of each table in order. A cell is missing, a text, an
// integer, a time, a condition, or withheld. A text that is empty is missing. In CSV a
// missing cell is empty, a condition yes or no, a withheld cell (withheld), all else
// its shown text. A field that begins with one of = + - @ tab CR ' gets a ' before
// it; then a field that has a quote, a comma, CR or LF stands in quotes, its quotes
// doubled. A file is the byte order mark, the line of column names, and the lines;
// each ends in CR LF. Files of accesses have at most 1,000,000 lines, the header
// included; at least one file is there, and data/accesses-NNN.jsonl is there where
// it has a line, cut at the same places. In a JSON line missing and withheld cells
// are left out; integers are numbers, conditions true and false, all else strings of
// the exact text (form of JSON: package canonical). data/columns.csv has the columns
// table,column,type,about.
//
// Most columns are the field of that name. The others:
//
//   - <name>_utc and <name>_local are one time.
//   - on_behalf_of: the delegates, each with its type in brackets where it has one,
//     joined by comma and space.
//   - attributes: key=value joined by semicolon and space, (withheld) for a sealed
//     value; in JSON lines an object, null for a sealed value.
//   - withheld: for each sealed number, in their order, the names of the columns that
//     it withholds, joined by comma and space; "attribute <key>"; or "field <number>".
//     Joined by comma and space again; in JSON lines an array. A column is withheld
//     by its field's number, and by that number without its last two digits.
//   - revoked_by and revoked of an access: only where the verdict is revoked.
//   - original_record, map_index, first_number, last_number, signed_number, declined,
//     gap_entries, lost_numbers, clock_*_ns, and times of 0: missing where 0.
//     read_only: missing where the event has no field.
//   - rests_on: the indexes, joined by comma and space.
//   - entries of a close: its cut less its previous cut.
//   - sentence: the table's sentence, a template whose scope is the row. There a
//     text is its phrase, a time stands in words, a withheld cell is (withheld),
//     or missing where the column is a condition.
//
// # The page and the text for people
//
// Both are templates over one scope. Model.go makes it; what is not plain from
// there is this. Every text from outside is shown text, the purpose of a flow like a
// phrase that is not cut. Numbers that name a place in the log have no commas,
// all others have.
//
//   - Groups of verdicts are in words.json; a verdict that is not there is not
//     authorized. verdicts: in that order, none of 0. pairs: by bytes of the source,
//     then of the target; the first 1,000.
//   - lists: in the order of words.json; unauthorized has every access whose group
//     is not authorized; the others those of that section, first-hand without what is
//     in unauthorized. Each has its first 1,000 accesses; the same bound holds for
//     runs, alerts, approvals, closes and flows.
//   - maps: all versions, ascending. flows: for each version, each flow in the
//     document's order whose from is among the sources and whose to is among the
//     targets (no list: any), unless the version before has the same flow. accesses:
//     those judged by it, under this version and the ones after it that have the same.
//   - unknown: what the bundle says of words that nothing in the log has, in its order.
//   - keys: for each line of the policy whose first word is log or witness and whose
//     key is one, in order; words lie between spaces and tabs. The name of a
//     witness is the policy's, and in brackets its key's where that differs. demo: the origin begins with demo.invalid/.
//   - detail of a claim: without one full stop at its end.
package report
