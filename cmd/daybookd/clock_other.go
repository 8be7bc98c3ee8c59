//go:build !linux

package main

import "github.com/daybook-ledger/daybook/ledger"

// readClock says that this system is not asked.
func readClock() ledger.ClockReading {
	return ledger.ClockReading{Unknown: "this system does not tell how its clock is disciplined"}
}
