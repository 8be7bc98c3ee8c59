package main

import (
	"syscall"

	"github.com/daybook-ledger/daybook/ledger"
)

// Of the kernel's answer: the clock is not synchronized; times are in
// nanoseconds, not microseconds.
const (
	statusUnsynchronized = 0x0040
	statusNanoseconds    = 0x2000
)

// readClock asks the kernel how well its clock is disciplined. Which service does
// it, and from what server, only that service knows: its own log says so.
func readClock() ledger.ClockReading {
	var t syscall.Timex
	if _, err := syscall.Adjtimex(&t); err != nil {
		return ledger.ClockReading{Unknown: "the kernel does not tell: " + err.Error()}
	}
	if t.Status&statusUnsynchronized != 0 {
		return ledger.ClockReading{}
	}
	offset := int64(t.Offset)
	if t.Status&statusNanoseconds == 0 {
		offset *= 1000
	}
	return ledger.ClockReading{Source: "the time service that disciplines the kernel's clock", OffsetNS: offset, UncertaintyNS: uint64(max(int64(t.Maxerror), 0)) * 1000}
}
