package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/datadir"
)

// diskStatus is what `status --json` prints of the disk. The fields after
// BallastBytes are of a running log only.
type diskStatus struct {
	DiskFreeBytes  uint64 `json:"disk_free_bytes"` // 0: not known
	DiskTotalBytes uint64 `json:"disk_total_bytes"`
	BallastBytes   uint64 `json:"ballast_bytes"`  // 0: dropped, or none
	DiskLowBytes   uint64 `json:"disk_low_bytes"` // appends stop below so many free bytes; 0: never
	DiskLow        bool   `json:"disk_low"`       // appends are refused because of that
	InFlightMS     uint64 `json:"commit_in_flight_ms"`
	CommitStalls   uint64 `json:"commit_stalls"`
	ReadErrors     uint64 `json:"read_errors"`
	IndexWaits     bool   `json:"index_waits"` // the index waits for room
}

// stoppedDisk looks at the disk of a log that nobody serves.
func stoppedDisk(dir datadir.Dir, engine *pebblestore.Store) (d diskStatus, err error) {
	d.DiskFreeBytes, d.DiskTotalBytes, err = engine.Room()
	if err != nil && !errors.Is(err, vfs.ErrUnsupported) {
		return d, err
	}
	fi, err := os.Stat(dir.Ballast())
	if errors.Is(err, os.ErrNotExist) {
		return d, nil
	}
	if err == nil {
		d.BallastBytes = uint64(fi.Size())
	}
	return d, err
}

func runningDisk(d *apiv1.DiskStatus) diskStatus {
	return diskStatus{
		DiskFreeBytes: d.GetFreeBytes(), DiskTotalBytes: d.GetTotalBytes(), BallastBytes: d.GetBallastBytes(),
		DiskLowBytes: d.GetLowBytes(), DiskLow: d.GetLow(), InFlightMS: uint64(time.Duration(d.GetInFlightNs()).Milliseconds()),
		CommitStalls: d.GetStalls(), ReadErrors: d.GetReadErrors(), IndexWaits: d.GetIndexWaits(),
	}
}

// print writes the status for people; what needs no attention is left out.
func (d diskStatus) print(w io.Writer, running bool) error {
	low := ""
	switch {
	case d.DiskLow:
		low = fmt.Sprintf(": LOW, appends stop below %d bytes", d.DiskLowBytes)
	case d.DiskLowBytes > 0:
		low = fmt.Sprintf("; appends stop below %d", d.DiskLowBytes)
	}
	ballast := "none"
	if d.BallastBytes > 0 {
		ballast = fmt.Sprintf("%d bytes", d.BallastBytes)
	}
	_, err := fmt.Fprintf(w, "free        %d of %d bytes%s\nballast     %s\n", d.DiskFreeBytes, d.DiskTotalBytes, low, ballast)
	if err != nil || !running {
		return err
	}
	if _, err = fmt.Fprintf(w, "commits     the oldest in flight for %d ms, %d took over 5 s\n", d.InFlightMS, d.CommitStalls); err != nil {
		return err
	}
	if d.ReadErrors > 0 {
		if _, err = fmt.Fprintf(w, "READS FAIL  %d so far: look at the disk\n", d.ReadErrors); err != nil {
			return err
		}
	}
	if d.IndexWaits {
		_, err = fmt.Fprintln(w, "index       WAITS for room on the disk: searches are refused")
	}
	return err
}
