package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Codes of activity entries of type DRIFT.
const (
	driftClean    = "CLEAN"       // a scan found nothing
	driftDiffers  = "DIFFERENCES" // a scan found something
	driftExpected = "EXPECTED"    // scans are expected from here on
)

// Limits of a request to record a scan.
const (
	maxDifferences = 1000
	maxCheck       = 64
	maxSubject     = 1024
	maxDriftDetail = 4096 // of the activity entry
)

// RecordDrift implements GovernanceService: the result becomes an activity entry
// of whoever scanned, and each high difference that has room in it an alert that
// rests on that entry alone.
func (s *governance) RecordDrift(ctx context.Context, r *apiv1.RecordDriftRequest) (*apiv1.RecordDriftResponse, error) {
	if err := checkDrift(r); err != nil {
		return nil, err
	}
	p := personOf(ctx)
	detail, kept := driftDetail(r)
	m := &daybookv1.Activity{Type: daybookv1.ActivityType_ACTIVITY_TYPE_DRIFT, Actor: p.ID, Authentication: p.Authentication, Method: "RecordDrift",
		Detail: detail, Count: 1, FirstNs: r.GetStartedNs(), LastNs: r.GetEndedNs(), Code: driftClean}
	if r.GetHigh()+r.GetMedium()+r.GetLow() > 0 {
		m.Code = driftDiffers
	}
	index, err := s.log.Record(ctx, m)
	if err != nil {
		return nil, err
	}
	alerts := driftAlerts(index, r, kept)
	for _, a := range alerts {
		s.log.Raise(a)
	}
	return &apiv1.RecordDriftResponse{Index: index, Alerts: uint32(len(alerts))}, nil
}

// checkDrift refuses what is not a result of a scan.
func checkDrift(r *apiv1.RecordDriftRequest) error {
	switch n := len(r.GetDifferences()); {
	case r.GetStartedNs() <= 0 || r.GetEndedNs() < r.GetStartedNs():
		return badRequest("started_ns, ended_ns: a scan has a start, and its end is not before it")
	case len(r.GetSha256()) != sha256.Size:
		return badRequest("sha256: %d bytes, such a sum has 32", len(r.GetSha256()))
	case len(r.GetMapSha256()) != sha256.Size:
		return badRequest("map_sha256: %d bytes, such a sum has 32", len(r.GetMapSha256()))
	case n > maxDifferences || len(r.GetScanned()) > maxDifferences:
		return badRequest("differences, scanned: at most %d of each", maxDifferences)
	case uint64(n) > uint64(r.GetHigh()):
		return badRequest("high: %d, but %d differences are given", r.GetHigh(), n)
	}
	for i, d := range r.GetDifferences() {
		for _, id := range []string{d.GetDomain(), d.GetOther()} {
			if id != "" && verify.CanonicalDomain([]byte(id)) != id {
				return badRequest("differences[%d]: %.80q is no domain id", i, id)
			}
		}
		if c := d.GetCheck(); c == "" || len(c) > maxCheck || strings.Trim(c, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return badRequest("differences[%d].check: want 1 to %d characters of [a-z0-9-]", i, maxCheck)
		}
		if s := d.GetSubject(); s == "" || len(s) > maxSubject {
			return badRequest("differences[%d].subject: want 1 to %d bytes", i, maxSubject)
		}
	}
	return nil
}

// driftDetail is the text of the activity entry: a summary, a line for each high
// difference as far as there is room, and how many are left out. It says how many
// lines there are.
func driftDetail(r *apiv1.RecordDriftRequest) (detail string, kept int) {
	summary := fmt.Sprintf("drift: %d high, %d medium, %d low; report sha256 %x; map sha256 %x", r.GetHigh(), r.GetMedium(), r.GetLow(), r.GetSha256(), r.GetMapSha256())
	for i, name := range r.GetScanned() {
		name = plain(name)
		if len(summary)+len(name) > maxDriftDetail/4 {
			summary += fmt.Sprintf("; and %d more sources", len(r.GetScanned())-i)
			break
		}
		summary += "; " + name
	}
	detail = summary
	for ; kept < len(r.GetDifferences()); kept++ {
		line := "\nhigh " + driftLine(r.GetDifferences()[kept])
		if len(detail)+len(line) > maxDriftDetail-64 {
			break
		}
		detail += line
	}
	if n := int(r.GetHigh()) - kept; n > 0 {
		detail += fmt.Sprintf("\nand %d more high differences: see the report", n)
	}
	return detail, kept
}

func driftLine(d *apiv1.DriftDifference) string {
	line := d.GetCheck() + " " + plain(d.GetSubject())
	if d.GetDomain() != "" || d.GetOther() != "" {
		line += " [" + strings.Trim(d.GetDomain()+" "+d.GetOther(), " ") + "]"
	}
	if d.GetDetail() != "" {
		line += ": " + cut(plain(d.GetDetail()), 300)
	}
	return line
}

// plain is text on one line.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// cut shortens text to n bytes, between characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "..."
}

// driftAlerts are a function of the activity entry at index: one for each of its
// lines of a high difference, and one for those that had no room.
func driftAlerts(index uint64, r *apiv1.RecordDriftRequest, kept int) []*daybookv1.Alert {
	const typ = daybookv1.AlertType_ALERT_TYPE_DRIFT
	var out []*daybookv1.Alert
	for _, d := range r.GetDifferences()[:kept] {
		out = append(out, &daybookv1.Alert{Type: typ, Subject: d.GetCheck() + " " + plain(d.GetSubject()), Source: d.GetDomain(), Target: d.GetOther(),
			Entries: []uint64{index + 1}, Detail: driftLine(d)})
	}
	if n := int(r.GetHigh()) - kept; n > 0 {
		out = append(out, &daybookv1.Alert{Type: typ, Subject: fmt.Sprintf("drift report %x", r.GetSha256()), Entries: []uint64{index + 1},
			Detail: fmt.Sprintf("%d more high differences: see the report", n)})
	}
	return out
}
