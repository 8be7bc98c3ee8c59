package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/client"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// eventLine bounds one line of JSON: an event is at most verify.MaxBody bytes.
const eventLine = 16 * verify.MaxBody

func newAppendCommand() *cobra.Command {
	var conn connection
	var receipts string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "append [FILE]",
		Short: "Append events, one JSON object a line",
		Long: `append reads events as JSON lines (protobuf JSON of daybook.v1.Event) from FILE
or standard input and appends each once for its event id: running it again with
the same lines adds nothing, where each has an id and a time. An event without
an id gets a UUIDv7, one without a time the present.`,
		Example: `  echo '{"source":{"domain":"web"},"target":{"domain":"prod-db"},"actor":{"id":"alice"},
         "action":{"class":"ACTION_CLASS_READ","operation":"select"},
         "decision":"DECISION_ALLOWED","outcome":{"result":"OUTCOME_RESULT_SUCCESS"}}' | tr -d '\n' | daybook append
  daybook append --receipts receipts events.jsonl`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in := cmd.InOrStdin()
			if len(args) == 1 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			c, err := conn.dial(cmd, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			a := &appender{cmd: cmd, client: c, dir: receipts, quiet: asJSON}
			err = a.lines(in)
			if asJSON {
				return errors.Join(err, printJSON(cmd.OutOrStdout(), map[string]any{"accepted": a.accepted, "duplicates": a.duplicates, "skipped": 0, "indexes": a.indexes}))
			}
			return err
		},
	}
	conn.flags(cmd)
	cmd.Flags().StringVar(&receipts, "receipts", "", "write each receipt into this `directory`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// An appender appends lines of events as one-offs.
type appender struct {
	cmd                  *cobra.Command
	client               *client.Client
	dir                  string
	quiet                bool
	accepted, duplicates int
	indexes              []uint64
}

func (a *appender) lines(in io.Reader) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 64<<10), eventLine)
	for n := 1; scanner.Scan(); n++ {
		line := bytes.TrimSpace(scanner.Bytes())
		if len(line) == 0 {
			continue
		}
		body, err := parseEventJSON(line, time.Now())
		if err != nil {
			return fmt.Errorf("line %d: %w; the lines before it are in the log", n, err)
		}
		if err := a.one(body); err != nil {
			return fmt.Errorf("line %d: %w; the lines before it are in the log", n, err)
		}
	}
	return scanner.Err()
}

func (a *appender) one(body []byte) error {
	r, err := a.client.AppendOneOff(a.cmd.Context(), client.Event(body))
	if err != nil {
		return err
	}
	word := "appended"
	if r.Repeat(0) {
		a.duplicates++
		word = "there before"
	} else {
		a.accepted++
	}
	a.indexes = append(a.indexes, r.Index(0))
	if a.dir != "" {
		if err := r.WriteFiles(a.dir, 0); err != nil {
			return err
		}
	}
	if a.quiet {
		return nil
	}
	_, err = fmt.Fprintf(a.cmd.OutOrStdout(), "%d %s\n", r.Index(0), word)
	return err
}

// parseEventJSON makes event bytes of one JSON object and checks them as the
// log will.
func parseEventJSON(line []byte, now time.Time) ([]byte, error) {
	var e daybookv1.Event
	if err := protojson.Unmarshal(line, &e); err != nil {
		return nil, err
	}
	if len(e.EventId) == 0 {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, err
		}
		e.EventId = []byte(id.String())
	}
	if e.OccurredAtNs == 0 {
		e.OccurredAtNs = now.UnixNano()
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&e)
	if err != nil {
		return nil, err
	}
	if _, err := verify.ParseEvent(body); err != nil {
		return nil, err
	}
	return body, nil
}
