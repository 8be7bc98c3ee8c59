package access

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The names of the listeners.
const (
	Ingest     = "ingest"
	Query      = "query"
	QueryHTTP  = "query_http"
	Admin      = "admin"
	Public     = "public"
	Operations = "operations"
)

// Listeners are all listeners, in order.
var Listeners = []string{Ingest, Query, QueryHTTP, Admin, Public, Operations}

// Rule says who may call a method, and where.
type Rule struct {
	Roles     Role     // any of these; Anyone: whoever was authenticated
	Partly    Role     // those of Roles who see only what concerns them
	Listeners []string // on these
	// Read: what a person gets by it is an activity entry, durable before the
	// answer. The entries of the caller itself, as producer, do not count.
	Read bool
	// Act: that a person did it is an activity entry.
	Act bool
	// Open: no identity is asked for. Routes alone have it.
	Open bool
	// Copies: who holds no other of Roles makes a copy, by a program: that is no
	// person's read.
	Copies Role
	// Tiles: open to everybody where the log was made with public tiles.
	Tiles bool
}

// On tells whether the method may be called on a listener.
func (r Rule) On(listener string) bool { return slices.Contains(r.Listeners, listener) }

var (
	atIngest = []string{Ingest}
	atQuery  = []string{Query, QueryHTTP}
	atAdmin  = []string{Admin}

	everyone  = Reader | Examiner | Officer | Approver | Mirror | Producer
	readers   = Reader | Examiner | Officer
	governing = readers | Approver

	appends   = Rule{Roles: Producer, Listeners: atIngest}
	proves    = Rule{Roles: everyone, Listeners: atQuery}
	proven    = Rule{Roles: governing, Partly: Approver, Listeners: atQuery, Read: true}
	reads     = Rule{Roles: readers, Listeners: atQuery, Read: true}
	receives  = Rule{Roles: readers | Producer, Listeners: atQuery, Read: true}
	mirrors   = Rule{Roles: readers | Producer | Mirror | Approver, Partly: Approver, Listeners: atQuery, Read: true}
	looks     = Rule{Roles: governing, Listeners: atQuery, Read: true}
	governs   = Rule{Roles: Approver, Listeners: atQuery}
	operates  = Rule{Roles: Operator, Listeners: atAdmin}
	exports   = Rule{Roles: readers, Listeners: atQuery}
	acts      = Rule{Roles: Operator, Listeners: atAdmin, Act: true}
	healthy   = Rule{Roles: Anyone, Listeners: []string{Ingest, Query, Admin}}
	described = Rule{Roles: Anyone, Listeners: []string{QueryHTTP}}
)

// rules is the one table of who may call what. A new method gets its line here.
var rules = map[string]Rule{
	"/daybook.api.v1.IngestService/OpenRun":      appends,
	"/daybook.api.v1.IngestService/ResumeRun":    appends,
	"/daybook.api.v1.IngestService/Append":       appends,
	"/daybook.api.v1.IngestService/AppendStream": appends,
	"/daybook.api.v1.IngestService/AppendOneOff": appends,
	"/daybook.api.v1.IngestService/HeartbeatRun": appends,
	"/daybook.api.v1.IngestService/EndRun":       appends,

	"/daybook.api.v1.QueryService/GetCheckpoint":       proves,
	"/daybook.api.v1.QueryService/GetConsistencyProof": proves,
	"/daybook.api.v1.QueryService/WaitWitnessed":       proves,
	"/daybook.api.v1.QueryService/ListKeys":            proves,
	"/daybook.api.v1.QueryService/GetEntry":            proven,
	"/daybook.api.v1.QueryService/GetEvent":            reads,
	"/daybook.api.v1.QueryService/ListEntries":         reads,
	"/daybook.api.v1.QueryService/ListValues":          reads,
	"/daybook.api.v1.QueryService/GetReceipts":         receives,
	"/daybook.api.v1.QueryService/GetReceiptBatch":     mirrors,
	"/daybook.api.v1.QueryService/ListCloses":          reads,
	"/daybook.api.v1.QueryService/GetClose":            reads,
	"/daybook.api.v1.QueryService/ListCloseRows":       reads,
	"/daybook.api.v1.QueryService/GetCloseRow":         reads,
	"/daybook.api.v1.QueryService/CountPair":           reads,
	"/daybook.api.v1.QueryService/ListRuns":            reads,
	"/daybook.api.v1.QueryService/GetRun":              reads,

	"/daybook.api.v1.GovernanceService/ProposeDomainMap": governs,
	"/daybook.api.v1.GovernanceService/CreateApproval":   governs,
	"/daybook.api.v1.GovernanceService/RevokeApproval":   governs,
	"/daybook.api.v1.GovernanceService/RecordDrift":      governs,
	"/daybook.api.v1.GovernanceService/GetDomainMap":     looks,
	"/daybook.api.v1.GovernanceService/ListDomainMaps":   looks,
	"/daybook.api.v1.GovernanceService/ListApprovals":    looks,

	// Each export is an activity entry of its own, with what was asked and for whom.
	"/daybook.api.v1.ExportService/Export": exports,

	"/daybook.api.v1.AdminService/GetStatus":         operates,
	"/daybook.api.v1.AdminService/Fsck":              operates,
	"/daybook.api.v1.AdminService/CloseNow":          acts,
	"/daybook.api.v1.AdminService/RotateKey":         operates, // its entry names who did it, as do the next two
	"/daybook.api.v1.AdminService/RetireKey":         operates,
	"/daybook.api.v1.AdminService/Succeed":           operates,
	"/daybook.api.v1.AdminService/ArchiveCheckpoint": operates,

	"/grpc.health.v1.Health/Check": healthy,
	"/grpc.health.v1.Health/List":  healthy,
	"/grpc.health.v1.Health/Watch": healthy,
}

// routes are the pages that are no method of a service.
var routes = map[string]Rule{
	"GET /openapi.json": described,
	"GET /checkpoint":   {Open: true, Listeners: []string{Public}},
	// Hashes are no read: who knows them can at most confirm an entry guessed whole.
	"GET /tile/{path...}":         {Roles: Mirror | Examiner, Tiles: true, Listeners: []string{Public}},
	"GET /tile/entries/{path...}": {Roles: Mirror | Examiner, Tiles: true, Listeners: []string{Public}, Read: true, Copies: Mirror},
	"GET /metrics":                {Open: true, Listeners: []string{Operations}},
	"GET /healthz":                {Open: true, Listeners: []string{Operations}},
	"GET /readyz":                 {Open: true, Listeners: []string{Operations}},
}

// RuleOf returns the rule of a method by its full name, /package.Service/Method.
func RuleOf(method string) (Rule, bool) {
	r, ok := rules[method]
	return r, ok
}

// RouteOf returns the rule of a page that is no method, such as `GET /healthz`.
func RouteOf(pattern string) (Rule, bool) {
	r, ok := routes[pattern]
	return r, ok
}

// MethodsOf returns the full names of a service's methods.
func MethodsOf(service protoreflect.ServiceDescriptor) []string {
	var names []string
	for i := range service.Methods().Len() {
		names = append(names, "/"+string(service.FullName())+"/"+string(service.Methods().Get(i).Name()))
	}
	return names
}

// Missing returns the methods, by full name, that have no rule for a listener.
func Missing(listener string, methods []string) []string {
	var missing []string
	for _, m := range methods {
		if r, ok := rules[m]; !ok || !r.On(listener) {
			missing = append(missing, m)
		}
	}
	return missing
}

// listenersOf returns the listeners on which a role may do anything.
func listenersOf(role Role) []string {
	var list []string
	for _, l := range Listeners {
		may := func(r Rule) bool { return r.Roles&role != 0 && r.On(l) }
		if anyRule(rules, may) || anyRule(routes, may) {
			list = append(list, l)
		}
	}
	return list
}

func anyRule(table map[string]Rule, fits func(Rule) bool) bool {
	for _, r := range table {
		if fits(r) {
			return true
		}
	}
	return false
}
