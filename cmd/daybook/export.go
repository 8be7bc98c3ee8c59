package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // periods are asked for in zones that not every machine knows

	"filippo.io/age"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// An exportCommand holds the flags of `daybook export`.
type exportCommand struct {
	conn connection

	file               string // of the question
	all, accesses      bool
	from, to           exportSide
	streams            []string
	span               string
	period, zone, by   string
	caseNo, item       string
	askedBy, recipient string
	output, split      string
	encrypt            []string
	at                 uint64
	first              uint32
	noClose, noCheck   bool
	asJSON             bool
	splitBytes         uint64
	keys               *verify.KeyChain // of the log
	recipients         []age.Recipient
}

type exportSide struct{ Domain, Tier, Function, Owner string }

func newExportCommand() *cobra.Command {
	c := new(exportCommand)
	cmd := &cobra.Command{
		Use:   "export (--all | --question FILE | --from X --to Y | ...) -o FILE",
		Short: "Write an examination file: one question's answer, checked offline",
		Long: `Write the examination file that answers a question: one zip that an examiner checks
offline, with daybook-verify bundle or by opening verify.html, against a policy got
from elsewhere. It shows that no access of the answer was altered and none left out.

A question names domains (--from, --to, or by tier, function, owner), streams, a
range of indexes, every access (--accesses) or the whole log (--all); and a period,
in a time zone. Or write it down once and keep it: --question FILE, in YAML. Where it
reaches past the newest close, the log closes the day so far first.

What came is checked under the log's key before it is said to be done. That it
was exported, by whom and for whom, is an entry of the log.`,
		Example: `  daybook export --from web --to prod-db --period 2026-Q2 --zone America/New_York \
      --case FINRA-2026-0417 --item 7 --recipient FINRA -o case.zip
  daybook export --from-tier test --to-tier production --by occurred --period 2026-05 -o case.zip
  daybook export --question question.yaml -o case.zip --split 450MB
  daybook export --stream access,web,prod-db,target --range 0:1000 -o range.zip
  daybook export --all -o log.zip --encrypt age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
  daybook export --officer officer.age --all --no-close -o log.zip`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.do(cmd) },
	}
	c.conn.flags(cmd)
	c.flags(cmd)
	return cmd
}

func (c *exportCommand) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&c.all, "all", false, "the whole log, as a plain tlog-tiles directory in the file")
	f.BoolVar(&c.accesses, "accesses", false, "every access")
	f.StringVar(&c.file, "question", "", "`file` with the question, as YAML or JSON")
	for _, side := range []struct {
		name string
		to   *exportSide
	}{{"from", &c.from}, {"to", &c.to}} {
		f.StringVar(&side.to.Domain, side.name, "", "accesses "+side.name+" a `domain`: its id, an alias or a DNS name")
		f.StringVar(&side.to.Tier, side.name+"-tier", "", "accesses "+side.name+" the domains of a `tier`: production, staging, test, development")
		f.StringVar(&side.to.Function, side.name+"-function", "", "accesses "+side.name+" the domains of a `function`")
		f.StringVar(&side.to.Owner, side.name+"-owner", "", "accesses "+side.name+" the domains of an `owner`")
	}
	f.StringArrayVar(&c.streams, "stream", nil, "a stream: `kind,source,target[,side][,late]`; may be repeated")
	f.StringVar(&c.span, "range", "", "entries `A:B` of the log, B exclusive")
	f.StringVar(&c.period, "period", "", "a `period`: 2026, 2026-Q2, 2026-05, 2026-W07, 2026-05-17, or two with .. between")
	f.StringVar(&c.zone, "zone", "", "its time `zone`, such as America/New_York (default UTC)")
	f.StringVar(&c.by, "by", "", "what it bounds: `logged` (default) or occurred")
	f.StringVar(&c.caseNo, "case", "", "case `number`, kept in the file")
	f.StringVar(&c.item, "item", "", "`number` of the request's item, kept in the file")
	f.StringVar(&c.askedBy, "asked-by", "", "`who` asks, kept in the file")
	f.StringVar(&c.recipient, "recipient", "", "`who` gets it, kept in the file")
	f.StringVarP(&c.output, "output", "o", "", "`file` to write; it must not be there")
	f.StringVar(&c.split, "split", "", "parts of at most this `size`, such as 450MB (10^6) or 450MiB (2^20), each checked alone")
	f.StringArrayVar(&c.encrypt, "encrypt", nil, "encrypt with age to a `recipient`, age1..., or to those of a file: FILE.age is written; may be repeated")
	f.Uint64Var(&c.at, "at", 0, "lead to the archived checkpoint of this `size`: the same question gives the same bytes (default the newest)")
	f.Uint32Var(&c.first, "first-part", 1, "begin with this part, with the --at and --split of the export that broke off")
	f.BoolVar(&c.noClose, "no-close", false, "make no close: answer up to the newest one")
	f.BoolVar(&c.noCheck, "no-check", false, "do not check what came")
	f.BoolVar(&c.asJSON, "json", false, "print one JSON object")
}

func (c *exportCommand) do(cmd *cobra.Command) error {
	q, err := c.question()
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	conn, err := c.conn.dial(cmd, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if !c.noCheck {
		if _, err := conn.Checkpoint(cmd.Context(), 0); err != nil { // follows the log to its present keys
			return err
		}
		c.keys = conn.Keys()
	}
	e, err := conn.Export(cmd.Context(), &apiv1.ExportRequest{
		Question: string(q.Document()), TreeSize: c.at, NoClose: c.noClose, SplitBytes: c.splitBytes, FirstPart: c.first,
	}, c.progress(cmd))
	if err != nil {
		return err
	}
	defer e.Close()
	return c.receive(cmd, e, q)
}

// check finds the first flag that makes no sense.
func (c *exportCommand) check() (err error) {
	if c.output == "" {
		return usagef("name the file to write with -o")
	}
	if c.splitBytes, err = parseSplit(c.split); err != nil {
		return usagef("--split: %v", err)
	}
	if c.first == 0 {
		return usagef("--first-part 0: parts count from 1")
	}
	if c.first > 1 && (c.at == 0 || c.split == "") {
		return usagef("--first-part goes with the --at and --split of the export that broke off")
	}
	if c.recipients, err = parseRecipients(c.encrypt); err != nil {
		return err
	}
	if path := c.path(1, 1); c.first == 1 {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already: name another file, or move it away", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Bounds of a part, as the server has them.
const (
	leastSplit = 1_000_000
	mostSplit  = 4<<30 - 1
)

// parseSplit reads the size of parts; 0 for nothing.
func parseSplit(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := parseByteSize(text)
	if err == nil && (n < leastSplit || n > mostSplit) {
		err = &byteSizeError{text, "a part has 1MB (1,000,000 bytes) to 4GiB less one byte"}
	}
	return n, err
}

// question makes the question of the flags, or reads it.
func (c *exportCommand) question() (*question.Question, error) {
	scopes := 0
	for _, given := range []bool{c.all, c.accesses, c.file != "", c.from != exportSide{} || c.to != exportSide{}, len(c.streams) > 0, c.span != ""} {
		if given {
			scopes++
		}
	}
	if scopes != 1 {
		return nil, usagef("ask one thing: --all, --accesses, --question, --from and --to, --stream, or --range")
	}
	if c.file != "" {
		return c.readQuestion()
	}
	w := map[string]any{"case": c.caseNo, "item": c.item, "asked_by": c.askedBy, "recipient": c.recipient}
	for name, value := range map[string]string{"period": c.period, "zone": c.zone, "by": c.by} {
		if value != "" {
			w[name] = value
		}
	}
	for name, side := range map[string]exportSide{"from": c.from, "to": c.to} {
		if side != (exportSide{}) {
			w[name] = side
		}
	}
	if c.all {
		w["log"] = true
	}
	if len(c.streams) > 0 {
		w["streams"] = c.streams
	}
	if c.span != "" {
		a, b, ok := strings.Cut(c.span, ":")
		first, err := strconv.ParseUint(a, 10, 63)
		end, err2 := strconv.ParseUint(b, 10, 63)
		if !ok || err != nil || err2 != nil || first >= end {
			return nil, usagef("--range %q: want A:B, the first index and the one after the last", c.span)
		}
		w["range"] = map[string]uint64{"first": first, "end": end}
	}
	text, err := yaml.Marshal(w)
	if err != nil {
		return nil, err
	}
	q, err := question.Read(text, time.LoadLocation)
	if err != nil {
		return nil, &usageError{err}
	}
	return q, nil
}

// readQuestion reads a question's file. What flags say of the case goes before it.
func (c *exportCommand) readQuestion() (*question.Question, error) {
	if c.period != "" || c.zone != "" || c.by != "" {
		return nil, usagef("--period, --zone and --by stand in the question's file")
	}
	text, err := os.ReadFile(c.file)
	if err != nil {
		return nil, fmt.Errorf("reading the question: %w", err)
	}
	q, err := question.Read(text, time.LoadLocation)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.file, err)
	}
	for _, part := range []struct {
		flag string
		to   *string
	}{{c.caseNo, &q.Case}, {c.item, &q.Item}, {c.askedBy, &q.AskedBy}, {c.recipient, &q.Recipient}} {
		if part.flag != "" {
			*part.to = part.flag
		}
	}
	return q, q.Check()
}
