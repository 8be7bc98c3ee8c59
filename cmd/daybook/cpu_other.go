//go:build !unix

package main

import "time"

// processCPU is the CPU time this process has taken; 0 where it is not known.
func processCPU() time.Duration { return 0 }
