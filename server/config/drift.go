package config

import (
	"fmt"
	"time"
)

// Drift says how often a drift scan is expected in the log.
type Drift struct {
	// Every is the longest time from one recorded scan to the next, at least 1m;
	// 0: none is expected. One alert says of each such period that it had none.
	Every time.Duration `yaml:"every"`
	// Grace is how long after it a scan still counts; default an eighth of it.
	Grace *time.Duration `yaml:"grace"`
}

// LeastDrift is the least of drift.every.
const LeastDrift = time.Minute

// GraceOf returns the grace, or its default.
func (d Drift) GraceOf() time.Duration {
	if d.Grace != nil {
		return *d.Grace
	}
	return d.Every / 8
}

func (d Drift) check() []error {
	var faults []error
	if d.Every != 0 && (d.Every < LeastDrift || d.Every > 366*24*time.Hour) {
		faults = append(faults, fmt.Errorf("drift.every: %v is not 1m to 8784h, nor 0s for never", d.Every))
	}
	if g := d.Grace; g != nil && (*g < 0 || *g > 366*24*time.Hour) {
		faults = append(faults, fmt.Errorf("drift.grace: %v is not 0s to 8784h", *g))
	}
	return faults
}
