package report

import (
	"io"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// A Sink takes the members that a report consists of. Several may be open at the
// same time; each name is created once. An exporter writes them; a verifier's
// sink compares what is written with the member of the same name and answers the
// first difference with an error, which a writer returns unchanged.
type Sink interface {
	Create(name string) (io.WriteCloser, error)
}

// A Head is what is known before the first answer.
type Head struct {
	Origin     string
	Question   *question.Question
	Part       int // from 1
	Parts      int
	First, End uint64        // index window of this part, [First, End)
	Policy     []byte        // the log's own policy, as policy.txt has it; may be nil
	Checkpoint verify.Opened // the archived one, opened under the file's own policy
	CloseIndex uint64        // of the close whose tables are used
	Close      *daybookv1.Close
	Cut        uint64 // the answer is complete below it
	Opened     *daybookv1.OriginOpened
	OpenedNS   int64 // when the log began: log time of entry 0
	// Selected are the streams in which the answers are, ascending by key.
	Selected []Stream
	// Sources and Targets are the ids that a selector stands for under the maps;
	// nil: any.
	Sources, Targets []string
	// Unknown is what the question says and nothing in the log has.
	Unknown []Unknown
}

// An Unknown is a word of a side of the question that no domain of a map has, so that
// an answer, of zero above all, is no evidence of what was meant by it.
type Unknown struct {
	Side string // from or to
	Word string // domain, tier, function or owner; empty: all words of the side together
	Name string // what the question says for the word
	Said string // side, words and names: from domain "prod-bd"
	Text string // what is not known, in plain words, without a full stop
}

// A Stream is a stream that was selected, and how many entries it has below the
// cut.
type Stream struct {
	Key   verify.StreamKey
	Count uint64
}

// A Section is where an answer stands in the report.
type Section uint8

// The sections. An answer is in the first that holds, in the order unmapped, late,
// backfill, second-hand, first-hand.
const (
	SectionFirstHand  Section = iota + 1 // seen by its producer, in time
	SectionSecondHand                    // its producer has it from somebody else
	SectionBackfill                      // from a file, after the fact
	SectionLate                          // reported after its day
	SectionUnmapped                      // the map does not know source or target
)

// An Answer is one access that the question asks for. All in it is valid until
// the call returns.
type Answer struct {
	Entry    *verify.Entry
	Leaf     verify.Hash
	Fields   *verify.EventFields
	Event    *daybookv1.Event
	Section  Section
	Map      *domains.Version // in force; nil: none
	Grounds  domains.Grounds  // what the verdict rests on
	Number   uint64           // place among the answers of this part, from 1
	RunKnown bool             // its run was opened; else it is a one-off
}

// An Alert is an alert in the window.
type Alert struct {
	Entry *verify.Entry
	Alert *daybookv1.Alert
}

// A Close is a close in the window, or the one whose tables are used.
type Close struct {
	Entry *verify.Entry
	Close *daybookv1.Close
	Leaf  verify.Hash
}

// A Run is a run of which there are answers.
type Run struct {
	Producer string
	Run      verify.Hash
	Opened   *daybookv1.RunOpened // nil: not known
	Answers  uint64
	First    uint64 // lowest number of an answer
	Last     uint64 // highest
	Signed   uint64 // number up to which a signature that verified covers it; 0: none
	Gaps     uint64 // gap entries in the window
	Lost     uint64 // numbers in them
	Declined uint64 // numbers declined in the window
	Ended    bool
	Proved   bool   // complete as numbered
	Reason   string // why not, in plain words; empty: proved
}

// A Loss is what alerts in the window say that a producer did not report: what it lost
// or left out could have been an answer, also where the file has none of its.
type Loss struct {
	Producer string // empty: the alerts name none
	Asked    bool   // of a domain that the question's side from names
	Gaps     uint64 // alerts of numbers that it declared as lost
	Silences uint64 // alerts that it was silent past its limit
}

// A State says how a claim stands.
type State string

// The states.
const (
	Proved     State = "proved"
	NotClaimed State = "not claimed"
	Failed     State = "failed"
)

// Names of the claims, in their order.
const (
	ClaimUnaltered     = "unaltered"
	ClaimAccepted      = "complete as accepted"
	ClaimNumbered      = "complete as numbered"
	ClaimAuthorized    = "authorized"
	ClaimCountersigned = "countersigned"
)

// A Claim is one of five things that a bundle can prove.
type Claim struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
}

// A Count is how many there are of something.
type Count struct {
	Name  string
	Count uint64
}

// A Checkpoint is an archived earlier checkpoint in the bundle.
type Checkpoint struct {
	verify.Opened
}

// A Summary is what is known after the last answer.
type Summary struct {
	Head        *Head
	Claims      []Claim // five, under the file's own policy
	Answers     uint64
	Sections    [SectionUnmapped + 1]uint64 // answers by section
	Verdicts    []Count                     // answers by verdict's word, ascending by the verdict's number, none of 0
	Runs        []Run                       // ascending by producer, run
	OneOffs     uint64                      // answers that are in no run
	Losses      []Loss                      // ascending by producer
	Alerts      []Count                     // by type's word, ascending by the type's number, none of 0
	Closes      uint64
	Approvals   []domains.Approved // all below the cut, in the log's order
	Maps        []*domains.Version // all below the cut, in the log's order
	Checkpoints []Checkpoint       // earlier ones, ascending
	FirstNS     int64              // log time of the first answer; 0: none
	LastNS      int64
}
