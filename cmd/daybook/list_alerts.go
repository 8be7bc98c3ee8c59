package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// alertsAlone tells whether entries are alerts, all of them.
func alertsAlone(views []*apiv1.EntryView) bool {
	for _, v := range views {
		if v.GetAlert() == nil {
			return false
		}
	}
	return len(views) > 0
}

// alertWord names the type of an alert.
func alertWord(m *daybookv1.Alert) string { return word(m.Type.String(), "ALERT_TYPE_") }

// printAlerts prints alerts: what they are about, and why.
func printAlerts(w io.Writer, views []*apiv1.EntryView, size uint64) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "INDEX\tLOGGED\tALERT\tSOURCE\tTARGET\tABOUT\tDETAIL")
	for _, v := range views {
		m := v.GetAlert()
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", v.Index, time.Unix(0, v.Head.LogTimeNs).UTC().Format(time.RFC3339), alertWord(m),
			m.Source, m.Target, shorten(printable(m.Subject), 80), printable(m.Detail))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d entries shown, of a log of %d\n", len(views), size)
	return err
}
