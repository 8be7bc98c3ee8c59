// Package detect finds in the entries of a log what no single entry shows.
//
// A [Detector] takes the entries in the order of the log. What it finds is a
// function of the entries before, so that an auditor finds the same offline. What
// it finds the log owes: an alert, or an activity entry of a clock, that must
// stand in the log after the entry that showed it. When the detector meets it
// there, it compares it with what is owed:
//
//	d := detect.New()
//	for each entry {
//		if err := d.Take(&entry); err != nil { ... an alert that nothing calls for }
//	}
//	for _, o := range d.Owed() { ... what is not in the log yet }
//
// # What is detected
//
// Where an alert has no other period, it is the UTC day of the log time of the
// entry that showed it. "Map" is the one in force at that entry; without a map
// only the first two are judged.
//
//	CREDENTIAL_REUSE  one credential fingerprint used from two source domains on one
//	                  day; once for each fingerprint and day
//	KEY_REUSE         one producer key, seen within 31 days, in two producers; once
//	                  for each key and day
//	UNDECLARED_FLOW   the first undeclared crossing of a pair under a map
//	FORBIDDEN_TIER    a crossing that a tier rule forbids; each pair and day
//	UNMAPPED          a name that the map does not know; each name and day
//	REVOKED_USE       an access whose approval was revoked; each approval and day
//	CLOCK             a producer whose events tell of a clock offset or uncertainty
//	                  beyond the limit of its domain, or occur that far in the future;
//	                  each producer and day, not for backfill
//	SILENCE           a producer that the map expects, without an entry for longer than
//	                  its limit: since its newest entry, the map entry since
//	                  which it has that limit, the run opened entry of the ledger's own
//	                  newest run or the end of the newest LEDGER_CLOCK alert's period,
//	                  whichever is last; shown by the log time of any entry, once for each silence
//	SHARED_HOSTING    two tiers on one hosting account and network, when the map
//	                  comes into force
//	APPROVAL_UNUSED   an approval of an actor or flow that is over or was revoked and
//	                  that no authorized access rests on
//	FLOW_UNUSED       a flow without an authorized access for the map's unused days, whole
//	                  ones since the day of the last
//	ONE_SIDED         crossings that fewer sides reported than their flow expects; each
//	                  pair and close
//
// The last three are judged when a close is met, over the entries before it: an
// approval once it is over for [Lateness], and a crossing that long after it
// occurred by its first report, of a backfill after the log time of that; younger
// ones wait for the next close. A crossing is known by its correlation id and
// pair. A report of a side that its flow does not expect is none; reports of one
// side are counted, so that a crossing is complete when all expected sides have
// reported equally often.
//
// At each close the log also owes, for each producer whose events told of a clock
// since the close before, an activity entry with the clock's source, its worst
// offset and the excursions: the clock log of FINRA Rule 4590.
//
// # Bounds
//
// Every table is bounded, see the Max constants. What finds no room is not
// looked at, and one alert of type OVERFLOW says so for each table and day; its
// subject begins with `detector:`. Of one producer and day at most
// [MaxAlerts] + 1 alerts are owed, which is one more than the log keeps, and
// [MaxDay] in all; at one close at most [MaxAtClose] of each type. Where the log
// has an alert of type TOO_MANY, what it dropped on that day is excused.
package detect
