package report

import (
	"slices"
	"strconv"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// sealAttribute is the sealed number of an event's first attribute's value.
const sealAttribute = 1500

// accessRow fills a row with an access.
func accessRow(r *row, a *Answer, offsets []offset) {
	r.clear()
	e, ev := a.Entry, a.Event
	r.uint("index", e.Place.Index)
	r.time("logged", e.Head.LogTimeNS, offsets)
	r.time("occurred", ev.GetOccurredAtNs(), offsets)
	r.text("verdict", domains.Word(e.Place.Verdict))
	r.text("section", a.Section.String())
	r.text("provenance", domains.Word(e.Head.Provenance))
	r.flag("late", e.Place.Late)
	r.text("source", e.Place.Source)
	r.text("target", e.Place.Target)
	r.text("side", domains.Word(e.Place.Side))
	endpoints(r, ev)
	actor(r, ev.GetActor())
	action(r, ev)
	authorization(r, ev.GetAuthorization())
	grounds(r, a.Grounds, offsets)
	details(r, ev)
	place(r, a)
	seal(r, ev)
}

func endpoints(r *row, ev *daybookv1.Event) {
	s, t := ev.GetSource(), ev.GetTarget()
	r.text("source_name", s.GetDomain())
	r.text("source_address", s.GetAddress())
	r.text("source_service", s.GetService())
	r.text("source_proof", domains.Word(s.GetProof()))
	r.text("target_name", t.GetDomain())
	r.text("target_service", t.GetService())
	r.text("resource", t.GetResource())
	r.text("resource_type", t.GetType())
	r.text("classification", t.GetClassification())
}

func actor(r *row, a *daybookv1.Actor) {
	r.text("actor", a.GetId())
	r.text("actor_type", domains.Word(a.GetType()))
	r.text("authentication", a.GetAuthentication())
	r.text("credential_key", a.GetCredential().GetKeyId())
	r.hex("credential_hmac_sha256", a.GetCredential().GetHmacSha256())
	r.text("login_session", a.GetLoginSession())
	var chain []string
	for _, d := range a.GetDelegation() {
		who := d.GetId()
		if t := domains.Word(d.GetType()); t != "" {
			who += " (" + t + ")"
		}
		chain = append(chain, who)
	}
	r.text("on_behalf_of", strings.Join(chain, ", "))
}

func action(r *row, ev *daybookv1.Event) {
	a := ev.GetAction()
	r.text("action", domains.Word(a.GetClass()))
	r.text("operation", a.GetOperation())
	r.text("protocol", a.GetProtocol())
	if a != nil && a.ReadOnly != nil {
		r.flag("read_only", a.GetReadOnly())
	}
	r.text("decision", domains.Word(ev.GetDecision()))
	r.text("outcome", domains.Word(ev.GetOutcome().GetResult()))
	r.text("outcome_code", ev.GetOutcome().GetCode())
	r.text("outcome_reason", ev.GetOutcome().GetReason())
}

func authorization(r *row, a *daybookv1.Authorization) {
	r.text("policy", a.GetPolicyId())
	r.text("policy_version", a.GetPolicyVersion())
	r.text("rule", a.GetRule())
	r.text("grant", a.GetGrantId())
	r.text("stated_approver", a.GetApprover())
	r.text("ticket", a.GetTicket())
	r.text("purpose", a.GetPurpose())
	r.flag("break_glass", a.GetBreakGlass())
}

// grounds says what the verdict rests on.
func grounds(r *row, g domains.Grounds, offsets []offset) {
	if f := g.Flow; f != nil {
		r.text("flow", f.GetId())
		r.text("flow_purpose", f.GetPurpose())
		r.text("flow_approver", f.GetApprover())
		r.text("flow_least_proof", domains.Word(f.GetLeastProof()))
	}
	a := g.Approval
	if a == nil {
		return
	}
	r.text("approval", a.Body.GetId())
	r.uint("approval_index", a.Index)
	r.text("approved_by", a.Body.GetApprover())
	r.time("approved", a.LogTimeNS, offsets)
	if a.Revoked != nil && r.at("verdict").text == "revoked" {
		r.text("revoked_by", a.Revoked.GetRevoker())
		r.time("revoked", a.RevokedNS, offsets)
	}
}

func details(r *row, ev *daybookv1.Event) {
	r.bytes("correlation_id", ev.GetCorrelationId())
	r.bytes("event_id", ev.GetEventId())
	r.bytes("corrects", ev.GetCorrects())
	r.text("retention_class", ev.GetRetentionClass())
	r.nonzero("clock_uncertainty_ns", ev.GetClock().GetUncertaintyNs())
	r.text("clock_text", ev.GetClock().GetOriginalText())
	r.text("clock_source", ev.GetClock().GetSource())
	if n := ev.GetClock().GetOffsetNs(); n != 0 {
		r.set("clock_offset_ns", integer, strconv.FormatInt(n, 10))
	}
	r.hex("original_sha256", ev.GetOriginal().GetSha256())
	r.hex("original_file_sha256", ev.GetOriginal().GetFileSha256())
	r.nonzero("original_record", ev.GetOriginal().GetRecord())
	r.text("original_mapping", ev.GetOriginal().GetMapping())
	attributes(r, ev)
}

// attributes writes them as one object: key=value in text, where a semicolon and a
// space are between two.
func attributes(r *row, ev *daybookv1.Event) {
	if len(ev.GetAttributes()) == 0 {
		return
	}
	sealed := map[uint32]bool{}
	for _, s := range ev.GetSealed() {
		sealed[s.GetField()] = true
	}
	var pairs []string
	object := []byte{'{'}
	for i, a := range ev.GetAttributes() {
		if i > 0 {
			object = append(object, ',')
		}
		object = append(appendJSON(object, a.GetKey()), ':')
		if sealed[sealAttribute+uint32(i)] {
			pairs, object = append(pairs, a.GetKey()+"="+withheld), append(object, "null"...)
			continue
		}
		pairs, object = append(pairs, a.GetKey()+"="+a.GetValue()), appendJSON(object, a.GetValue())
	}
	*r.at("attributes") = cell{kind: text, text: strings.Join(pairs, "; "), json: string(append(object, '}'))}
}

// place says how the ledger took the access.
func place(r *row, a *Answer) {
	e := a.Entry
	r.text("producer", e.Head.Producer)
	r.hex("producer_key_sha256", e.Head.KeyFingerprint[:])
	r.hex("run", e.Head.Run[:])
	r.uint("number", e.Place.Number)
	r.uint("epoch", e.Head.Epoch)
	r.nonzero("map_index", e.Head.MapIndex)
	r.uint("rules_version", uint64(e.Head.RulesVersion))
	r.uint("position", e.Place.Position)
	r.hex("leaf_sha256", a.Leaf[:])
}

// seal marks what the producer sealed and lists it.
func seal(r *row, ev *daybookv1.Event) {
	var all []string
	var list []byte
	for _, s := range ev.GetSealed() {
		n := s.GetField()
		columns, names := r.table.withheldBy(n)
		for _, i := range columns {
			r.cells[i] = cell{kind: sealedOff}
		}
		switch {
		case n >= sealAttribute && int(n-sealAttribute) < len(ev.GetAttributes()):
			names = "attribute " + ev.GetAttributes()[n-sealAttribute].GetKey()
		case names == "":
			names = "field " + strconv.FormatUint(uint64(n), 10)
		}
		all = append(all, names)
		list = appendJSON(append(list, ','), names)
	}
	if len(all) > 0 {
		*r.at("withheld") = cell{kind: text, text: strings.Join(all, ", "), json: string(slices.Concat([]byte{'['}, list[1:], []byte{']'}))}
	}
}

// String returns the section's word.
func (s Section) String() string {
	switch s {
	case SectionFirstHand:
		return "first-hand"
	case SectionSecondHand:
		return "second-hand"
	case SectionBackfill:
		return "backfill"
	case SectionLate:
		return "late"
	case SectionUnmapped:
		return "unmapped"
	}
	return ""
}
