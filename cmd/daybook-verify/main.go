// Daybook-verify is the auditor's program: it checks a daybook log, its receipts
// and checkpoints, from files alone. It has no network code, writes no file
// but the examiner's page, and links nothing of daybook but the formats it checks.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// Exit codes. Scripts rely on them.
const (
	exitVerified       = 0 // everything asked for was proved
	exitFailed         = 1 // something was disproved, or is malformed
	exitUsage          = 2 // the call makes no sense, or names a file that cannot be read
	exitSelfConsistent = 3 // no contradiction, but no key from outside was given
	exitGaps           = 4 // proved, and the log says itself what it does not have
	exitNewer          = 5 // of a later format than this program knows
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// verb is one thing the program does.
type verb struct {
	name string
	args string // as in its usage line
	does string // one line
	help string // the rest of its help, with examples
	run  func(c *call) (*result, error)

	whole  bool // it takes a key and older checkpoints, too
	proves bool // it takes a consistency proof, too
	cases  bool // it takes examination files, too
}

// verbs in the order of the help.
func verbs() []verb {
	return []verb{receiptVerb, receiptsVerb, consistencyVerb, logVerb, bundleVerb, pageVerb, versionVerb}
}

// call is one invocation of a verb.
type call struct {
	verb   verb
	policy string // file; empty: none
	key    string // a verifier key in place of a policy; empty: none
	older  files  // checkpoints that were kept elsewhere
	output string // file to write, of the verb page; empty: none
	proof  string // file with a consistency proof; empty: none
	cases  files  // examination files to hold receipts against
	json   bool
	args   []string  // positional
	stderr io.Writer // for progress
}

// files is a flag that may be given again.
type files []string

// String implements flag.Value.
func (f *files) String() string { return strings.Join(*f, ", ") }

// Set implements flag.Value.
func (f *files) Set(name string) error { *f = append(*f, name); return nil }

// usageError is a call that makes no sense.
type usageError struct{ reason string }

func (e *usageError) Error() string { return e.reason }

func usagef(format string, args ...any) error {
	return &usageError{reason: fmt.Sprintf(format, args...)}
}

// run is main without the process: data on stdout, everything else on stderr.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, overview())
		return exitUsage
	}
	if args[0] == "help" || args[0] == "--help" || args[0] == "-help" || args[0] == "-h" {
		fmt.Fprint(stdout, overview())
		return exitVerified
	}
	for _, v := range verbs() {
		if v.name == args[0] {
			return runVerb(v, args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "daybook-verify: no verb %q\n%s", args[0], overview())
	return exitUsage
}

func runVerb(v verb, args []string, stdout, stderr io.Writer) int {
	c := &call{verb: v, stderr: stderr}
	err := c.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, v.usage()+"\n"+v.help)
		return exitVerified
	}
	var r *result
	if err == nil {
		r, err = v.run(c)
	}
	if err != nil {
		fmt.Fprintf(stderr, "daybook-verify: %v\n", err)
		var usage *usageError
		if errors.As(err, &usage) {
			fmt.Fprintf(stderr, "%sHelp: daybook-verify %s --help\n", v.usage(), v.name)
		}
		return exitUsage
	}
	if c.json {
		err = r.writeJSON(stdout)
	} else {
		err = r.writeText(stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "daybook-verify: writing the result: %v\n", err)
		return exitFailed
	}
	return r.exit()
}

// parse reads flags and positional arguments, in any order.
func (c *call) parse(args []string) error {
	fs := flag.NewFlagSet(c.verb.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.BoolVar(&c.json, "json", false, "")
	switch c.verb.name {
	case versionVerb.name:
	case pageVerb.name:
		fs.StringVar(&c.output, "o", "", "")
	default:
		fs.StringVar(&c.policy, "policy", "", "")
	}
	if c.verb.whole {
		fs.StringVar(&c.key, "key", "", "")
		fs.Var(&c.older, "checkpoint", "")
	}
	if c.verb.proves {
		fs.StringVar(&c.proof, "proof", "", "")
	}
	if c.verb.cases {
		fs.Var(&c.cases, "bundle", "")
	}
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return err
			}
			return usagef("%v", err)
		}
		if fs.NArg() == 0 {
			return nil
		}
		c.args, args = append(c.args, fs.Arg(0)), fs.Args()[1:]
	}
}

// want checks the number of positional arguments.
func (c *call) want(names ...string) error {
	if len(c.args) > len(names) {
		return usagef("unexpected argument %q", c.args[len(names)])
	}
	if len(c.args) < len(names) {
		return usagef("no %s given", names[len(c.args)])
	}
	return nil
}

func (v verb) usage() string {
	return fmt.Sprintf("Usage: daybook-verify %s %s\n", v.name, v.args)
}

func overview() string {
	var b strings.Builder
	b.WriteString("daybook-verify checks a daybook log, its receipts, checkpoints and examination\nfiles, from files alone.\n\nVerbs:\n")
	for _, v := range verbs() {
		fmt.Fprintf(&b, "  %-12s %s\n", v.name, v.does)
	}
	b.WriteString(`
Examples:
  daybook-verify receipt --policy policy.txt receipts/7.tlog-proof
  daybook-verify receipts --policy policy.txt receipts
  daybook-verify consistency --policy policy.txt old.checkpoint new.checkpoint proof.txt
  daybook-verify receipts --policy policy.txt --json receipts
  daybook-verify log --policy policy.txt --checkpoint kept.checkpoint mirror
  daybook-verify bundle --policy policy.txt CASE.zip

The policy names the keys you trust (c2sp.org/tlog-policy). Take it from somewhere
else than the files you check: by hand from the firm, or from an earlier examination.
Without one, the best verdict is SELF-CONSISTENT.

--json prints one object {verdict, claims, first_bad_index, reason}.
Exit: 0 VERIFIED, 1 FAILED, 2 usage or unreadable input, 3 SELF-CONSISTENT (no key
from outside was given), 4 VERIFIED WITH DECLARED GAPS, 5 NEEDS A NEWER VERIFIER.
"daybook-verify VERB --help" tells more of each verb.
`)
	return b.String()
}
