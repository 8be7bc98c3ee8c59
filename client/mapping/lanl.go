package mapping

import (
	"math"
	"strconv"
	"strings"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// fillLANL maps one authentication of LANL's "Comprehensive, Multi-Source
// Cyber-Security Events" (Kent 2015), whose records are lines of time, source
// user, destination user, source computer, destination computer, authentication
// type, logon type, orientation, success or failure.
//
// An account is user@domain. The domain of a local account is its computer,
// C832, and becomes c832.host. Times count seconds since the capture began;
// they are mapped as seconds since the Unix epoch, and clock.source says so.
func fillLANL(o object, b *builder) {
	b.eventID("")
	lanlTime(o, b)
	for _, field := range []string{"src_user", "dst_user", "src_computer", "dst_computer", "outcome"} {
		if o.text(field) == "" {
			b.fail(Missing, field, "")
		}
	}
	from, to := parseLANLAccount(o.text("src_user")), parseLANLAccount(o.text("dst_user"))
	e := b.event
	e.Side = daybookv1.Side_SIDE_TARGET
	e.Source.Domain = from.domain
	e.Source.Address = b.text("source.address", lanlText(o, "src_computer"), maxAddress)
	e.Target.Domain = to.domain
	e.Target.Resource = b.text("target.resource", lanlText(o, "dst_computer"), maxResource)
	e.Target.Type = "computer"

	b.actor(from.id, from.typ)
	method := strings.ToLower(lanlText(o, "auth_type"))
	e.Actor.Authentication = b.text("actor.authentication", method, maxSmall)
	e.Action.Protocol = b.text("action.protocol", method, maxSmall)
	if method == "kerberos" {
		e.Source.Proof = daybookv1.SourceProof_SOURCE_PROOF_SIGNED_TOKEN
	}
	lanlOutcome(o, b)

	if to.id != from.id {
		b.attribute("lanl.destination_user", o.text("dst_user"))
	}
	b.attribute("lanl.logon_type", lanlText(o, "logon_type"))
	b.attribute("lanl.day", o.text("day"))
	b.attribute("lanl.line", o.text("line"))
	if local := from.local || to.local; local {
		b.attribute("lanl.local_account", strconv.FormatBool(local))
	}
}

// lanlTime sets the time, in seconds since the capture began.
func lanlTime(o object, b *builder) {
	text := o.text("time")
	if text == "" {
		b.fail(Missing, "time", "")
		return
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds <= 0 || seconds > math.MaxInt64/int64(time.Second) {
		b.fail(BadValue, "time", "%q is not a count of seconds from 1", cut(text, maxSmall))
		return
	}
	b.at("time", text, time.Unix(seconds, 0))
	if b.event.Clock != nil {
		b.event.Clock.Source = "seconds since the capture began"
	}
}

// lanlAccount is user@domain.
type lanlAccount struct {
	id     string
	domain string
	typ    daybookv1.ActorType
	local  bool
}

// parseLANLAccount parses user@domain; `?` is not known.
func parseLANLAccount(text string) lanlAccount {
	user, domain, _ := strings.Cut(text, "@")
	a := lanlAccount{id: text, domain: domainName(domain)}
	switch {
	case domain == "?":
		a.domain = unknown
	case isComputer(domain):
		a.domain = domainName(domain + ".host")
		a.local = true
	}
	switch {
	case user == "?" || user == "":
		a.id, a.typ = unknown, daybookv1.ActorType_ACTOR_TYPE_UNKNOWN
	case strings.EqualFold(user, "ANONYMOUS LOGON"):
		a.id, a.typ = anonymous, daybookv1.ActorType_ACTOR_TYPE_ANONYMOUS
	case strings.HasSuffix(user, "$"):
		a.typ = daybookv1.ActorType_ACTOR_TYPE_DEVICE
	case strings.EqualFold(user, "SYSTEM"), strings.EqualFold(user, "LOCAL SERVICE"), strings.EqualFold(user, "NETWORK SERVICE"):
		a.typ = daybookv1.ActorType_ACTOR_TYPE_SERVICE
	default:
		// U22 may be a person or a service: the data does not tell.
		a.typ = daybookv1.ActorType_ACTOR_TYPE_UNKNOWN
	}
	return a
}

// isComputer reports whether a name is C and digits: a computer.
func isComputer(name string) bool {
	digits, ok := strings.CutPrefix(name, "C")
	if !ok || digits == "" {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// lanlText returns a field; `?`, which is not known, as empty.
func lanlText(o object, field string) string {
	if s := o.text(field); s != "?" {
		return s
	}
	return ""
}

// lanlOutcome sets action, decision and outcome. A logon that fails was denied;
// the end of one is decided by nobody.
func lanlOutcome(o object, b *builder) {
	e := b.event
	operation := lanlText(o, "orientation")
	class := authenticate
	if operation == "LogOff" || operation == "ScreenLock" {
		class = other
	}
	if operation == "" {
		class = daybookv1.ActionClass_ACTION_CLASS_UNKNOWN
	}
	b.operation(class, operation)

	outcome := o.text("outcome")
	switch {
	case outcome == "Success":
		e.Decision = daybookv1.Decision_DECISION_ALLOWED
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS, outcome, "")
	case outcome == "Fail" && class == other:
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_ERROR, outcome, "")
	case outcome == "Fail":
		e.Decision = daybookv1.Decision_DECISION_DENIED
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED, outcome, "")
	default:
		b.fail(BadValue, "outcome", "%q is neither Success nor Fail", cut(outcome, maxSmall))
	}
	if class == other {
		e.Decision = daybookv1.Decision_DECISION_NOT_EVALUATED
	}
}
