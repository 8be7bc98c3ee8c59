package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/datadir"
)

// quiet discards what a store has to say while a verb looks at it.
var quiet = slog.New(slog.DiscardHandler)

// adminPatience bounds a question to a running server.
const adminPatience = 10 * time.Second

// logStatus is what `status --json` prints. The fields after Shut are of a
// running log only.
type logStatus struct {
	Size        uint64 `json:"size"`
	HeadTime    string `json:"head_time"` // log time of the last commit, RFC 3339 in UTC
	Origin      string `json:"origin"`
	Root        string `json:"root"` // hex
	Term        uint64 `json:"term"`
	DiskBytes   uint64 `json:"disk_bytes"`
	Demo        bool   `json:"demo"`
	Running     bool   `json:"running"`
	Shut        string `json:"shut"` // why it takes no appends; empty: it does, or is stopped
	FollowerLag uint64 `json:"follower_lag"`
	QueueBytes  uint64 `json:"queue_bytes"`
	Streams     uint64 `json:"streams"`
	Runs        uint64 `json:"runs"`
	Version     string `json:"version"`
	CloseIndex  uint64 `json:"close_index"` // of the newest close; 0: none
	CloseEnd    string `json:"close_end"`   // of its period; empty: none
	Overdue     uint64 `json:"closes_overdue"`

	Verification *verificationStatus `json:"verification,omitempty"` // of a running log only
	Witnesses    *witnessesStatus    `json:"witnesses,omitempty"`    // of a running log that has any
	NotReady     string              `json:"not_ready"`              // why it takes no appends now; empty: it does, or is stopped
	diskStatus
}

func newStatusCommand() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status --data DIR",
		Short: "Say how a log stands, served or stopped",
		Example: `  daybookd status --data /srv/daybook
  daybookd status --data /srv/daybook --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataFlag(data)
			if err != nil {
				return err
			}
			s, err := readStatus(cmd.Context(), dir)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), s)
			}
			return s.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "data directory")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// readStatus asks the server of a directory, or its store where nobody serves it.
func readStatus(ctx context.Context, dir datadir.Dir) (s logStatus, err error) {
	engine, err := openStopped(dir)
	if isServed(err) {
		return askStatus(ctx, dir)
	}
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	id, err := ledger.ReadIdentity(engine)
	if err != nil {
		return s, err
	}
	head, err := engine.Head()
	if err != nil {
		return s, err
	}
	disk, err := stoppedDisk(dir, engine)
	if err != nil {
		return s, err
	}
	return logStatus{
		diskStatus: disk,
		Size:       head.Size, HeadTime: formatTime(time.Unix(0, head.TimeNS)), Origin: id.Origin, Root: hex.EncodeToString(head.Root[:]),
		Term: head.Term, DiskBytes: engine.DiskBytes(), Demo: isDemo([]byte(id.Origin)), Version: version(),
	}, nil
}

func askStatus(ctx context.Context, dir datadir.Dir) (logStatus, error) {
	conn, err := dialAdmin(dir)
	if err != nil {
		return logStatus{}, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	r, err := apiv1.NewAdminServiceClient(conn).GetStatus(ctx, &apiv1.GetStatusRequest{})
	if err != nil {
		return logStatus{}, adminError(dir, err)
	}
	closeEnd := ""
	if r.GetCloseEnd() != nil {
		closeEnd = formatTime(r.GetCloseEnd().AsTime())
	}
	return logStatus{
		CloseIndex: r.GetCloseIndex(), CloseEnd: closeEnd, Overdue: r.GetClosesOverdue(),
		Size: r.GetSize(), HeadTime: formatTime(r.GetHeadTime().AsTime()), Origin: r.GetOrigin(), Root: hex.EncodeToString(r.GetRoot()),
		Term: r.GetTerm(), DiskBytes: r.GetDiskBytes(), Demo: isDemo([]byte(r.GetOrigin())), Running: true, Shut: r.GetShut(),
		FollowerLag: r.GetFollowerLag(), QueueBytes: r.GetQueueBytes(), Streams: r.GetStreams(), Runs: r.GetRuns(), Version: r.GetVersion(),
		Verification: verificationOf(r.GetVerification()), Witnesses: witnessesOf(r.GetWitnesses()),
		NotReady: r.GetNotReady(), diskStatus: runningDisk(r.GetDisk()),
	}, nil
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// print writes the status for people.
func (s logStatus) print(w io.Writer) error {
	state := "stopped"
	switch {
	case s.Shut != "":
		state = "SHUT: it reads but takes no appends: " + s.Shut
	case s.NotReady != "":
		state = "running, but takes no appends now: " + s.NotReady
	case s.Running:
		state = "running"
	}
	demo := ""
	if s.Demo {
		demo = "  (DEMO: not for evidence)"
	}
	_, err := fmt.Fprintf(w, "origin      %s%s\nstate       %s\nsize        %d entries\nhead time   %s\nroot        %s\nterm        %d\ndisk        %d bytes\n",
		s.Origin, demo, state, s.Size, s.HeadTime, s.Root, s.Term, s.DiskBytes)
	if err == nil {
		err = s.diskStatus.print(w, s.Running)
	}
	if err == nil && s.Running {
		_, err = fmt.Fprintf(w, "streams     %d\nruns        %d live\nfollower    %d entries behind\nqueue       %d bytes\nversion     %s\n",
			s.Streams, s.Runs, s.FollowerLag, s.QueueBytes, s.Version)
	}
	if err == nil && s.CloseIndex > 0 {
		_, err = fmt.Fprintf(w, "last close  entry %d, until %s\n", s.CloseIndex, s.CloseEnd)
	}
	if err == nil && s.Overdue > 0 {
		_, err = fmt.Fprintf(w, "OVERDUE     %d closes of days that ended\n", s.Overdue)
	}
	if err == nil && s.Witnesses != nil {
		err = s.Witnesses.print(w)
	}
	if err == nil && s.Verification != nil {
		err = s.Verification.print(w)
	}
	return err
}
