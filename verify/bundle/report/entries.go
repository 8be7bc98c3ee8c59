package report

import (
	"strconv"
	"strings"

	"github.com/daybook-ledger/daybook/verify/domains"
)

func alertRow(r *row, a *Alert, offsets []offset) {
	r.clear()
	b := a.Alert
	r.uint("index", a.Entry.Place.Index)
	r.time("logged", a.Entry.Head.LogTimeNS, offsets)
	r.text("type", domains.Word(b.GetType()))
	r.text("subject", b.GetSubject())
	r.text("source", b.GetSource())
	r.text("target", b.GetTarget())
	if b.GetPeriodStartNs() != 0 {
		r.time("period_start", b.GetPeriodStartNs(), offsets)
	}
	if b.GetPeriodEndNs() != 0 {
		r.time("period_end", b.GetPeriodEndNs(), offsets)
	}
	r.text("detail", b.GetDetail())
	var rests []string
	for _, stored := range b.GetEntries() {
		rests = append(rests, strconv.FormatUint(stored-1, 10)) // stored + 1, never 0
	}
	r.text("rests_on", strings.Join(rests, ", "))
	r.uint("detector_version", uint64(b.GetDetectorVersion()))
	r.text("producer", b.GetProducer())
	r.hex("alert_id", b.GetId())
}

func approvalRow(r *row, a *domains.Approved, offsets []offset) {
	r.clear()
	b := a.Body
	r.uint("index", a.Index)
	r.time("logged", a.LogTimeNS, offsets)
	r.text("approval", b.GetId())
	r.text("subject", domains.Word(b.GetSubject()))
	r.text("name", b.GetName())
	r.text("from", b.GetFrom())
	r.text("to", b.GetTo())
	r.text("purpose", b.GetPurpose())
	if b.GetNotBeforeNs() != 0 {
		r.time("not_before", b.GetNotBeforeNs(), offsets)
	}
	if b.GetNotAfterNs() != 0 {
		r.time("not_after", b.GetNotAfterNs(), offsets)
	}
	r.text("ticket", b.GetTicket())
	r.text("approved_by", b.GetApprover())
	r.text("authentication", b.GetAuthentication())
	r.text("requested_by", b.GetRequester())
	r.hex("document_sha256", b.GetSha256())
	if a.Revoked == nil {
		return
	}
	r.uint("revocation_index", a.Revocation-1)
	r.time("revoked", a.RevokedNS, offsets)
	r.text("revoked_by", a.Revoked.GetRevoker())
	r.text("revocation_authentication", a.Revoked.GetAuthentication())
	r.text("revocation_reason", a.Revoked.GetReason())
	r.text("revocation_ticket", a.Revoked.GetTicket())
}

func closeRow(r *row, c *Close, offsets []offset) {
	r.clear()
	b := c.Close
	r.uint("index", c.Entry.Place.Index)
	r.time("logged", c.Entry.Head.LogTimeNS, offsets)
	r.time("period_start", b.GetPeriodStartNs(), offsets)
	r.time("period_end", b.GetPeriodEndNs(), offsets)
	r.uint("first", b.GetPreviousCut())
	r.uint("cut", b.GetCut())
	r.uint("entries", b.GetCut()-b.GetPreviousCut())
	r.uint("streams", b.GetStreams().GetRows())
	r.uint("runs", b.GetRuns().GetRows())
	r.hex("root", b.GetRoot())
	r.hex("streams_root", b.GetStreams().GetRoot())
	r.hex("runs_root", b.GetRuns().GetRoot())
	r.hex("leaf_sha256", c.Leaf[:])
}

func runRow(r *row, u *Run) {
	r.clear()
	r.text("producer", u.Producer)
	r.hex("run", u.Run[:])
	r.text("provenance", domains.Word(u.Opened.GetProvenance()))
	r.text("software", u.Opened.GetSoftware())
	if im := u.Opened.GetImport(); im != nil {
		r.text("import_file", im.GetFileName())
		r.hex("import_sha256", im.GetFileSha256())
		r.text("import_mapping", im.GetMapping())
	}
	r.uint("accesses", u.Answers)
	r.nonzero("first_number", u.First)
	r.nonzero("last_number", u.Last)
	r.nonzero("signed_number", u.Signed)
	r.nonzero("declined", u.Declined)
	r.nonzero("gap_entries", u.Gaps)
	r.nonzero("lost_numbers", u.Lost)
	r.flag("ended", u.Ended)
	r.flag("complete", u.Proved)
	r.text("reason", u.Reason)
}
