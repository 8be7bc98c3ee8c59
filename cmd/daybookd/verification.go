package main

import (
	"fmt"
	"io"

	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// verificationStatus is what `status --json` prints of the background
// verification. Times are RFC 3339 in UTC.
type verificationStatus struct {
	Period        string  `json:"period,omitempty"` // absent: it is off
	Position      uint64  `json:"position"`
	Target        uint64  `json:"target"` // 0: no pass is under way
	BeginTime     string  `json:"begin_time,omitempty"`
	ExpectedEnd   string  `json:"expected_end_time,omitempty"`
	NextTime      string  `json:"next_time,omitempty"`
	LastEndTime   string  `json:"last_end_time,omitempty"`
	LastEntries   uint64  `json:"last_entries"`
	LastFaults    uint64  `json:"last_faults"`
	Fault         string  `json:"fault,omitempty"`
	FirstBadIndex *uint64 `json:"first_bad_index,omitempty"` // with fault
}

func verificationOf(v *apiv1.Verification) *verificationStatus {
	if v == nil {
		return nil
	}
	at := func(t *timestamppb.Timestamp) string {
		if t == nil {
			return ""
		}
		return formatTime(t.AsTime())
	}
	s := &verificationStatus{
		Position: v.GetPosition(), Target: v.GetTarget(), BeginTime: at(v.GetBeginTime()), ExpectedEnd: at(v.GetExpectedEndTime()),
		NextTime: at(v.GetNextTime()), LastEndTime: at(v.GetLastEndTime()), LastEntries: v.GetLastEntries(), LastFaults: v.GetLastFaults(),
		Fault: v.GetFault(),
	}
	if v.GetPeriod() != nil {
		s.Period = v.GetPeriod().AsDuration().String()
	}
	if s.Fault != "" {
		index := v.GetFirstBadIndex()
		s.FirstBadIndex = &index
	}
	return s
}

// print writes for people how the verification stands.
func (s *verificationStatus) print(w io.Writer) error {
	last := "no pass has ended yet"
	switch {
	case s.LastEndTime != "" && s.LastFaults == 0:
		last = fmt.Sprintf("ok at %s: %d entries re-derived from disk", s.LastEndTime, s.LastEntries)
	case s.LastEndTime != "":
		last = fmt.Sprintf("FAULTS at %s: %d, in %d entries", s.LastEndTime, s.LastFaults, s.LastEntries)
	}
	now := "off"
	switch {
	case s.Target > 0:
		now = fmt.Sprintf("%d of %d entries (%.1f %%), ends about %s", s.Position, s.Target, 100*float64(s.Position)/float64(s.Target), s.ExpectedEnd)
	case s.Period != "":
		now = "next pass at " + s.NextTime
	}
	_, err := fmt.Fprintf(w, "verified    %s\nverifying   %s\n", last, now)
	if err == nil && s.Fault != "" {
		_, err = fmt.Fprintf(w, "FAULT       what is on disk is not what was committed, first at index %d: %s\n"+
			"  safe: the entries before it, and what is appended now\n  next: keep this directory as evidence, run `daybookd fsck`, and restore the newest backup\n",
			*s.FirstBadIndex, s.Fault)
	}
	return err
}
