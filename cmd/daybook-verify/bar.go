package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	barWidth = 40
	barEvery = 100 * time.Millisecond
)

// A bar shows progress on a terminal; elsewhere it shows nothing.
type bar struct {
	w     io.Writer // nil: no terminal
	start time.Time
	shown time.Time
}

func newBar(w io.Writer) *bar {
	f, ok := w.(*os.File)
	if !ok {
		return &bar{}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &bar{}
	}
	return &bar{w: f, start: time.Now()}
}

// show shows how far the work is.
func (b *bar) show(done, total uint64) {
	now := time.Now()
	if b.w == nil || total == 0 || now.Sub(b.shown) < barEvery {
		return
	}
	b.shown = now
	full := int(barWidth * float64(done) / float64(total))
	spent := now.Sub(b.start).Seconds()
	fmt.Fprintf(b.w, "\r[%s%s] %d of %d entries, %.0f/s, %v left ", strings.Repeat("#", full), strings.Repeat(" ", barWidth-full), done, total,
		float64(done)/spent, time.Duration(spent/float64(done)*float64(total-done)*float64(time.Second)).Round(time.Second))
}

// end takes the bar away.
func (b *bar) end() {
	if b.w != nil && !b.shown.IsZero() {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}
