package config

import (
	"fmt"
	"time"
)

// What a log does at its start until the quorum of its witnesses has confirmed that
// it is the newest copy of itself.
const (
	// WitnessWarn has it wait a little, and then take appends with a warning, so that
	// witnesses that are away stop nobody.
	WitnessWarn = "warn"
	// WitnessRequire has it take none: a store that was restored from an older copy
	// then never takes any.
	WitnessRequire = "require"
)

// HeartbeatDefault is the default of witness_heartbeat.
const HeartbeatDefault = time.Hour

func (c *Config) completeWitnesses() {
	if c.Witnesses == "" {
		return
	}
	if c.WitnessAtStart == "" {
		c.WitnessAtStart = WitnessWarn
	}
	if c.WitnessHeartbeat == 0 {
		c.WitnessHeartbeat = HeartbeatDefault
	}
}

func (c *Config) checkWitnesses() []error {
	var faults []error
	switch c.WitnessAtStart {
	case "", WitnessWarn, WitnessRequire:
	default:
		faults = append(faults, fmt.Errorf("witness_at_start: %q is neither warn nor require", c.WitnessAtStart))
	}
	if h := c.WitnessHeartbeat; h != 0 && (h < time.Minute || h > 366*24*time.Hour) {
		faults = append(faults, fmt.Errorf("witness_heartbeat: %v is not 1m to 8784h", h))
	}
	if c.Witnesses == "" && (c.WitnessAtStart != "" || c.WitnessHeartbeat != 0) {
		faults = append(faults, fmt.Errorf("witness_at_start, witness_heartbeat: name the witnesses by `witnesses: FILE`"))
	}
	return faults
}
