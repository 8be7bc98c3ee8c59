package bundle

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// Names of members.
const (
	nameQuestion   = "question.json"
	nameAnswer     = "answer.json"
	namePolicy     = "policy.txt"
	nameCheckpoint = "checkpoint"
	nameGovernance = "governance.bin"
	nameRows       = "rows.bin"
	nameRowHashes  = "rows.hashes"
	nameStreams    = "streams.bin"
	nameTree       = "tree.hashes"
	nameNumbers    = "numbers.bin"
	nameManifest   = "manifest.json"
)

// A line is a kind of members: those of one line come before those of the next,
// among themselves in bytewise order of their names.
type line int

const (
	lineQuestion line = iota + 1
	lineAnswer
	linePolicy
	lineCheckpoint
	lineHistory
	lineGovernance
	lineRows
	lineRowHashes
	lineStreams
	lineEntries
	lineTiles
	lineTree
	lineNumbers
	lineMaps // the first that is derived
	lineColumns
	lineCSV
	lineLines
	lineAlerts
	lineApprovals
	lineCloses
	lineRuns
	lineReadme
	lineReport
)

// fixedNames are the lines of one member.
var fixedNames = map[string]line{
	nameQuestion: lineQuestion, nameAnswer: lineAnswer, namePolicy: linePolicy, nameCheckpoint: lineCheckpoint,
	nameGovernance: lineGovernance, nameRows: lineRows, nameRowHashes: lineRowHashes, nameStreams: lineStreams,
	nameTree: lineTree, nameNumbers: lineNumbers,
	"data/columns.csv": lineColumns, "data/alerts.csv": lineAlerts, "data/approvals.csv": lineApprovals,
	"data/closes.csv": lineCloses, "data/runs.csv": lineRuns, "README.txt": lineReadme, "report.html": lineReport,
}

// numberedNames are the lines of members with a number of that many digits in
// their names.
var numberedNames = []struct {
	before, after string
	digits        int
	line          line
}{
	{"checkpoints/", ".note", 20, lineHistory},
	{"checkpoints/", ".proof", 20, lineHistory},
	{"entries/", ".bin", 6, lineEntries},
	{"maps/", ".yaml", 20, lineMaps},
	{"data/accesses-", ".csv", 3, lineCSV},
	{"data/accesses-", ".jsonl", 3, lineLines},
}

// lineOf returns the line of a member; 0: it has none. The number is that of a
// numbered name.
func lineOf(name string) (l line, number uint64) {
	if l := fixedNames[name]; l != 0 {
		return l, 0
	}
	for _, n := range numberedNames {
		rest, ok := strings.CutPrefix(name, n.before)
		if !ok {
			continue
		}
		digits, ok := strings.CutSuffix(rest, n.after)
		if !ok || len(digits) != n.digits || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		number, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			return 0, 0
		}
		return n.line, number
	}
	if strings.HasPrefix(name, "log/") && tileName(name) {
		return lineTiles, 0
	}
	return 0, 0
}

// derived tells whether members of a line are made from the others.
func (l line) derived() bool { return l >= lineMaps }

// in tells whether members of a line belong to the answer of a question.
func (l line) in(q *question.Question) bool {
	switch {
	case l == lineTiles:
		return q.Tiles()
	case l >= lineHistory && l <= lineNumbers || l == lineMaps:
		return !q.Tiles() || q.Log && l == lineMaps
	}
	return true
}

// before tells whether a member stands before another one.
func (a member) before(b member) bool {
	la, _ := lineOf(a.Name)
	lb, _ := lineOf(b.Name)
	return la < lb || la == lb && a.Name < b.Name
}

func historyName(size uint64, suffix string) string {
	return fmt.Sprintf("checkpoints/%020d.%s", size, suffix)
}

func entriesName(number int) string { return fmt.Sprintf("entries/%06d.bin", number) }

func mapName(index uint64) string { return fmt.Sprintf("maps/%020d.yaml", index) }
