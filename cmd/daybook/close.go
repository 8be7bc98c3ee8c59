package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// A closeCommand holds the flags of `daybook close`.
type closeCommand struct {
	conn                   connection
	admin, cert, key       string
	list, slip, asJSON     bool
	limit                  int
	show, day, stream, run string
}

func newCloseCommand() *cobra.Command {
	c := new(closeCommand)
	cmd := &cobra.Command{
		Use:   "close [--list | --show DAY|INDEX | --stream NAME | --run NAME | --slip]",
		Short: "Close the day so far, or show closes with what they prove",
		Long: `A close ends a UTC day: the log's root at its end, and the count and root of
every stream and run. The log writes one within a second after UTC midnight.

Without a flag, close ends the period under way now. That is for operators: the
admin listener takes their certificate, not a producer's.

--stream and --run look up one row of a close and check it offline, before
anything is printed: VERIFIED row, or VERIFIED absent. --slip prints a close in one
line to be mailed: whoever keeps the line can tell later if the close was changed.`,
		Example: `  daybook close --certificate log/clients/operator.pem --key log/clients/operator.key
  daybook close --list
  daybook close --show 2026-11-24
  daybook close --stream access,web,prod-db,source --show 2026-11-24
  daybook close --stream access,web,prod-db,source,late
  daybook close --run spiffe://example.com/gateway
  daybook close --slip --day 2026-11-24`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.do(cmd) },
	}
	c.conn.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.admin, "admin-addr", "", "`host:port` of admin, in place of the profile's")
	f.StringVar(&c.cert, "certificate", "", "the operator's certificate `file`, in place of the profile's; to close")
	f.StringVar(&c.key, "key", "", "the operator's key `file`; to close")
	f.BoolVar(&c.list, "list", false, "list closes, newest first")
	f.IntVar(&c.limit, "limit", 31, "at most so many with --list; 0: all")
	f.StringVar(&c.show, "show", "", "the close of a `day`, as 2026-11-24, or at an index")
	f.StringVar(&c.day, "day", "", "the `day` of --slip, as 2026-11-24 (default the newest close)")
	f.StringVar(&c.stream, "stream", "", "the row of a stream: `kind,source,target[,side][,late]`; in the newest close, or that of --show")
	f.StringVar(&c.run, "run", "", "the row of a run: `producer[,run id in hex]`; without an id that of the producer's one-offs")
	f.BoolVar(&c.slip, "slip", false, "print one line to be mailed")
	f.BoolVar(&c.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (c *closeCommand) do(cmd *cobra.Command) error {
	modes := 0
	for _, given := range []bool{c.list, c.show != "" || c.stream != "" || c.run != "", c.slip} {
		if given {
			modes++
		}
	}
	switch {
	case modes > 1:
		return usagef("--list, --slip, and --show with --stream or --run, exclude each other")
	case c.stream != "" && c.run != "":
		return usagef("--stream and --run exclude each other")
	case c.day != "" && !c.slip:
		return usagef("--day goes with --slip; see --show")
	case (c.cert == "") != (c.key == ""):
		return usagef("--certificate and --key go together")
	}
	profile := new(client.Profile)
	conn, err := c.conn.dial(cmd, func(cfg *client.Config) {
		if c.cert != "" {
			cfg.Certificate, cfg.Key = c.cert, c.key
		}
		profile.Certificate = cfg.Certificate
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	switch {
	case c.list:
		return c.printList(cmd, conn)
	case c.stream != "" || c.run != "":
		return c.printRow(cmd, conn)
	case c.show != "" || c.slip:
		closed, err := c.find(cmd, conn)
		if err != nil {
			return err
		}
		return c.print(cmd, closed)
	}
	return c.closeNow(cmd, conn, profile.Certificate)
}

// closeNow closes the period under way. certificate is the path of the identity
// that asks.
func (c *closeCommand) closeNow(cmd *cobra.Command, conn *client.Client, certificate string) error {
	admin := c.admin
	if admin == "" {
		p, err := client.LoadProfile(c.conn.profile)
		if err != nil {
			return err
		}
		if admin = p.Admin; admin == "" && p.Addresses == "" {
			return errors.New("no admin address: give it in the profile or by --admin-addr")
		}
	}
	closed, err := conn.CloseNow(cmd.Context(), admin)
	if errors.Is(err, client.ErrNotOperator) {
		return fmt.Errorf("%w; nothing was closed. %s", err, operatorHint(certificate))
	}
	if err != nil {
		return err
	}
	return c.print(cmd, closed)
}

// operatorHint says which identity to use; the one beside the producer's, if it
// is there.
func operatorHint(certificate string) string {
	dir := filepath.Dir(certificate)
	pem, key := filepath.Join(dir, "operator.pem"), filepath.Join(dir, "operator.key")
	if _, err := os.Stat(pem); err != nil {
		pem, key = "OPERATOR.pem", "OPERATOR.key"
	}
	return fmt.Sprintf("Give the operator's: --certificate %s --key %s", pem, key)
}

// find returns the close that --show or --day names, the newest for neither.
func (c *closeCommand) find(cmd *cobra.Command, conn *client.Client) (*client.Closed, error) {
	name := c.show + c.day // one of them is empty
	if strings.Contains(name, "-") {
		return conn.ClosedDay(cmd.Context(), name)
	}
	index := uint64(0)
	if name != "" {
		var err error
		if index, err = strconv.ParseUint(name, 10, 63); err != nil || index == 0 {
			return nil, usagef("%q is neither a day, as 2026-11-24, nor the index of a close", name)
		}
	}
	return conn.ClosedAt(cmd.Context(), index)
}

func (c *closeCommand) printRow(cmd *cobra.Command, conn *client.Client) error {
	r := new(apiv1.GetCloseRowRequest)
	var err error
	if c.stream != "" {
		r.Stream, err = parseStream(c.stream)
	} else {
		r.Run, err = parseRunName(c.run)
	}
	if err != nil {
		return err
	}
	if c.show != "" {
		closed, err := c.find(cmd, conn)
		if err != nil {
			return err
		}
		r.Index = closed.Index
	}
	row, err := conn.CloseRow(cmd.Context(), r)
	if err != nil {
		return err
	}
	return c.writeRow(cmd, r, row)
}
