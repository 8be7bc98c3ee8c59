package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/server/config"
)

// ballastEvery is how often a server looks whether its ballast can be made again.
const ballastEvery = 10 * time.Second

// openBallast returns the ballast of a directory, dropped where the disk has less
// room than it takes: what a server writes when it starts must fit.
func openBallast(o serveOptions, limits config.Limits, log *slog.Logger) (*pebblestore.Ballast, error) {
	b := &pebblestore.Ballast{Path: o.Dir.Ballast(), Bytes: max(limits.BallastBytes, 0), Logger: log}
	if limits.BallastBytes == 0 && !o.Dev {
		usage, err := vfs.Default.GetDiskUsage(string(o.Dir))
		if err != nil && !errors.Is(err, vfs.ErrUnsupported) {
			return nil, fmt.Errorf("measuring the disk of %s: %w", o.Dir, err)
		}
		b.Bytes = pebblestore.BallastFor(usage.TotalBytes)
	}
	b.Relieve()
	return b, nil
}

// keepBallast makes the ballast wherever it is missing and there is room for it,
// until ctx ends.
func (r *runningServer) keepBallast(ctx context.Context) {
	tick := time.NewTicker(ballastEvery)
	defer tick.Stop()
	for {
		if err := r.ballast.Ensure(r.ledger.Status().Disk.Resume()); err != nil {
			r.log.Error("the ballast was not made: a full disk might keep the log from being opened", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
