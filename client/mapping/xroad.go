package mapping

import (
	"math"
	"strconv"
	"strings"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// fillXRoad maps one operational-monitoring record of X-Road (X-Road
// PR-OPMON), as a security server reports it, or as X-Road-Metrics corrected
// it: there the views of client and producer stand in one record, of which the
// client's is mapped, else the producer's; what the other view adds stands in
// attributes. Keys are read in any letter case.
//
// Client and service are members: instance/class/code/subsystem. A request that
// a security server refused before it could read who sends it to whom names
// neither; both are then unknown.
func fillXRoad(o object, b *builder) {
	view, second, name := xroadViews(o)
	xroadTime(view, b)
	messageID := view.text("messageid")
	if messageID == "" {
		messageID = o.text("messageid")
	}
	server := strings.ToLower(view.text("securityservertype"))
	if server == "" {
		server = name
	}
	if messageID != "" {
		b.eventID(messageID + ":" + server)
	} else {
		b.eventID("")
	}
	b.correlation(messageID)

	e := b.event
	switch server {
	case "client":
		e.Side = daybookv1.Side_SIDE_SOURCE
	case "producer":
		e.Side = daybookv1.Side_SIDE_TARGET
	default:
		b.fail(BadValue, "securityServerType", "%q is neither Client nor Producer", cut(server, maxSmall))
	}
	client, service := xroadMember(view, "client"), xroadMember(view, "service")
	e.Source.Domain = client.domain
	e.Source.Address = b.text("source.address", view.text("clientsecurityserveraddress"), maxAddress)
	e.Source.Service = b.text("source.service", view.text("clientsubsystemcode"), maxService)
	if client.path != "" {
		e.Source.Proof = daybookv1.SourceProof_SOURCE_PROOF_TRUSTED_GATEWAY
	}
	e.Target.Domain = service.domain
	xroadService(view, service.path, b)

	b.actor(client.path, daybookv1.ActorType_ACTOR_TYPE_SERVICE)
	b.delegate(view.text("messageuserid"), daybookv1.ActorType_ACTOR_TYPE_UNKNOWN)
	b.delegate(joinPath(view.text("representedpartyclass"), view.text("representedpartycode")), daybookv1.ActorType_ACTOR_TYPE_UNKNOWN)
	xroadOutcome(view, b)
	xroadAttributes(o, view, b)
	xroadSecond(second, b)
}

// xroadViews returns the view to map, the other one, and whose view it is where
// the record's place tells.
func xroadViews(o object) (view, second object, name string) {
	client, producer := o.sub("client"), o.sub("producer")
	switch {
	case client != nil:
		return client, producer, "client"
	case producer != nil:
		return producer, nil, "producer"
	default:
		return o, nil, ""
	}
}

// xroadTime sets when the security server received the request.
func xroadTime(view object, b *builder) {
	text := view.text("requestints")
	if text == "" {
		b.fail(Missing, "requestInTs", "")
		return
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms <= 0 || ms > math.MaxInt64/int64(time.Millisecond) {
		b.fail(BadValue, "requestInTs", "%q is not a count of milliseconds", cut(text, maxSmall))
		return
	}
	b.at("requestInTs", text, time.UnixMilli(ms))
}

// member is a member of an X-Road instance, with subsystem where it has one.
type member struct {
	// path is instance/class/code/subsystem; empty where nothing is told.
	path   string
	domain string
}

// xroadMember returns the member with the role of client or service.
func xroadMember(view object, role string) member {
	parts := []string{
		view.text(role + "xroadinstance"), view.text(role + "memberclass"),
		view.text(role + "membercode"), view.text(role + "subsystemcode"),
	}
	if strings.Join(parts, "") == "" {
		return member{domain: unknown}
	}
	for i := range parts[:3] {
		if parts[i] == "" {
			parts[i] = unknown
		}
	}
	return member{path: joinPath(parts...), domain: domainPath(parts...)}
}

// joinPath joins names by slashes, without trailing empty ones.
func joinPath(names ...string) string {
	return strings.TrimRight(strings.Join(names, "/"), "/")
}

// xroadService sets the service that was called, and how.
func xroadService(view object, path string, b *builder) {
	code, version := view.text("servicecode"), view.text("serviceversion")
	e := b.event
	e.Target.Service = b.text("target.service", code, maxService)
	e.Target.Type = b.text("target.type", view.text("servicetype"), maxType)
	if path != "" && code != "" {
		e.Target.Resource = b.text("target.resource", joinPath(path, code, version), maxResource)
	}
	operation := code
	if version != "" {
		operation += "." + version
	}
	method := strings.ToUpper(view.text("restmethod"))
	class := daybookv1.ActionClass_ACTION_CLASS_UNKNOWN
	switch method {
	case "GET", "HEAD", "OPTIONS":
		class = read
	case "POST":
		class = execute
	case "PUT", "PATCH":
		class = update
	case "DELETE":
		class = remove
	}
	if method != "" {
		operation = strings.TrimSpace(method + " " + operation + view.text("restpath"))
	}
	b.operation(class, b.text("action.operation", operation, maxOperation))
	e.Action.Protocol = "x-road"
}

// xroadOutcome sets decision and outcome.
func xroadOutcome(view object, b *builder) {
	code, reason := view.text("faultcode"), view.text("faultstring")
	if code == "" {
		code, reason = view.text("soapfaultcode"), view.text("soapfaultstring")
	}
	if code == "" {
		code = view.text("statuscode")
	}
	succeeded, known := view.flag("succeeded")
	e := b.event
	switch {
	case !known:
		e.Decision = daybookv1.Decision_DECISION_UNKNOWN
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_UNKNOWN, code, reason)
	case succeeded:
		e.Decision = daybookv1.Decision_DECISION_ALLOWED
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS, code, reason)
	case strings.Contains(code, "AccessDenied"):
		e.Decision = daybookv1.Decision_DECISION_DENIED
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_DENIED, code, reason)
	default:
		e.Decision = daybookv1.Decision_DECISION_UNKNOWN
		b.outcome(daybookv1.OutcomeResult_OUTCOME_RESULT_ERROR, code, reason)
	}
}

// xroadAttributes keeps the rest that is worth keeping.
func xroadAttributes(o, view object, b *builder) {
	for key, field := range map[string]string{
		"xroad.service_security_server": "servicesecurityserveraddress",
		"xroad.internal_ip":             "securityserverinternalip",
		"xroad.protocol_version":        "messageprotocolversion",
		"xroad.message_issue":           "messageissue",
		"xroad.request_bytes":           "requestsize",
		"xroad.response_bytes":          "responsesize",
		"http.status":                   "statuscode",
	} {
		b.attribute(key, view.text(field))
	}
	request := view.text("xrequestid")
	if request == "" {
		request = o.text("xrequestid")
	}
	b.attribute("xroad.request_id", request)
	b.attribute("xroad.matching", o.text("matchingtype"))
	b.attribute("xroad.duration_ms", o.text("totalduration"))
}

// xroadSecond keeps what the producer's view of the same message says.
func xroadSecond(producer object, b *builder) {
	if producer == nil {
		return
	}
	for key, field := range map[string]string{
		"xroad.producer.request_in_ms": "requestints",
		"xroad.producer.succeeded":     "succeeded",
		"xroad.producer.fault":         "faultcode",
		"xroad.producer.status":        "statuscode",
		"xroad.producer.internal_ip":   "securityserverinternalip",
		"xroad.producer.message_id":    "messageid",
	} {
		b.attribute(key, producer.text(field))
	}
	b.attribute("xroad.producer.client", xroadMember(producer, "client").path)
	b.attribute("xroad.producer.service", xroadMember(producer, "service").path)
}
