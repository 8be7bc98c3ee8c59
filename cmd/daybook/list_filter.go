package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// A listFilter holds the flags of `daybook list`. A flag of a text or an enum is
// the request's field of the same name, with - for _.
type listFilter struct {
	texts                                  map[string]*string
	since, until, loggedSince, loggedUntil string
	late, ascending                        bool
	limit                                  int
}

func newListFilter() *listFilter { return &listFilter{texts: map[string]*string{}} }

// textFlags are the flags of the request's texts, and textPrefixes of their
// prefixes; enumFlags those of its enums.
var (
	textFlags = [][2]string{
		{"source", "source domain `id`"},
		{"target", "target domain `id`"},
		{"actor", "who acted: the actor's `id`"},
		{"operation", "operation as the service names it"},
		{"resource", "resource that was reached"},
		{"producer", "producer that reported: SPIFFE `URI`"},
		{"approver", "who approved: of accesses, approvals and revocations"},
		{"ticket", "ticket: of accesses, approvals and revocations"},
		{"purpose", "purpose: of accesses and approvals"},
		{"grant-id", "grant that was used, or the approval's own `id`"},
	}
	idFlags = [][2]string{
		{"event-id", "event `id`; hex:... where it is not text"},
		{"correlation-id", "correlation `id`; hex:... where it is not text"},
		{"credential", "credential fingerprint: 64 `hex` digits"},
		{"run", "run id: 64 `hex` digits"},
		{"flow", "flow that declares the access: its `id`"},
		{"source-function", "function of the source domain, such as broker-interface"},
		{"target-function", "function of the target domain"},
		{"source-owner", "owner of the source domain"},
		{"target-owner", "owner of the target domain"},
	}
	enumFlags = [][2]string{
		{"kind", "kind: access, declined, gap, run-opened, alert, activity, ..."},
		{"action-class", "class of the operation: create, read, update, delete, execute, authenticate, ..."},
		{"decision", "decision: allowed, denied, not-evaluated, unknown"},
		{"verdict", "the ledger's verdict: authorized, denied, undeclared, expired, forbidden, ..."},
		{"outcome", "outcome: success, denied, error, throttled, unknown"},
		{"source-proof", "how the source is known: peer-certificate, signed-token, network-zone, trusted-gateway, caller-claim"},
		{"source-tier", "tier of the source: production, staging, test, development"},
		{"target-tier", "tier of the target"},
		{"alert-type", "type of an alert: credential-reuse, silence, clock, gap, ..."},
	}
)

func (f *listFilter) flags(fl *pflag.FlagSet) {
	add := func(name, usage string) {
		f.texts[name] = new(string)
		fl.StringVar(f.texts[name], name, "", usage)
	}
	for _, t := range textFlags {
		add(t[0], t[1])
		add(t[0]+"-prefix", "begin of the "+strings.ReplaceAll(t[0], "-", " "))
	}
	for _, t := range slices.Concat(idFlags, enumFlags) {
		add(t[0], t[1])
	}
	fl.BoolVar(&f.late, "late", false, "late accesses only")
	fl.StringVar(&f.since, "since", "", "accesses that occurred at or after this `time` (RFC 3339, or a date in UTC)")
	fl.StringVar(&f.until, "until", "", "accesses that occurred before this `time`")
	fl.StringVar(&f.loggedSince, "logged-since", "", "entries logged at or after this `time`")
	fl.StringVar(&f.loggedUntil, "logged-until", "", "entries logged before this `time`")
	fl.BoolVar(&f.ascending, "ascending", false, "oldest first")
	fl.IntVar(&f.limit, "limit", 100, "most entries; 0: all")
}

func (f *listFilter) request() (*apiv1.ListEntriesRequest, error) {
	r := &apiv1.ListEntriesRequest{Ascending: f.ascending, Late: f.late}
	if f.limit < 0 {
		return nil, usagef("--limit %d: want 0 or more", f.limit)
	}
	if f.limit > 0 {
		r.PageSize = int32(min(f.limit, 1000))
	}
	message := r.ProtoReflect()
	for name, text := range f.texts {
		if *text == "" {
			continue
		}
		fd := message.Descriptor().Fields().ByName(protoreflect.Name(strings.ReplaceAll(name, "-", "_")))
		if fd.Kind() == protoreflect.StringKind {
			message.Set(fd, protoreflect.ValueOfString(*text))
			continue
		}
		n, err := enumOf(name, *text, fd.Enum())
		if err != nil {
			return nil, err
		}
		message.Set(fd, protoreflect.ValueOfEnum(n))
	}
	return r, f.times(r)
}

// enumOf returns the number of an enum's value from its word, such as
// not-evaluated.
func enumOf(flag, text string, enum protoreflect.EnumDescriptor) (protoreflect.EnumNumber, error) {
	values := enum.Values()
	prefix := strings.TrimSuffix(string(values.Get(0).Name()), "UNSPECIFIED")
	var words []string
	for i := 1; i < values.Len(); i++ {
		word := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(string(values.Get(i).Name()), prefix), "_", "-"))
		if word == strings.ToLower(strings.ReplaceAll(text, "_", "-")) {
			return values.Get(i).Number(), nil
		}
		words = append(words, word)
	}
	return 0, usagef("--%s %q: want one of %s", flag, text, strings.Join(words, ", "))
}

func (f *listFilter) times(r *apiv1.ListEntriesRequest) error {
	for _, t := range []struct {
		name, text string
		to         **timestamppb.Timestamp
	}{{"since", f.since, &r.OccurredFrom}, {"until", f.until, &r.OccurredUntil},
		{"logged-since", f.loggedSince, &r.LoggedFrom}, {"logged-until", f.loggedUntil, &r.LoggedUntil}} {
		if t.text == "" {
			continue
		}
		at, err := parseTime(t.text)
		if err != nil {
			return usagef("--%s %q: want a date such as 2026-11-01 or a time such as 2026-11-01T09:30:00Z", t.name, t.text)
		}
		*t.to = timestamppb.New(at)
	}
	return nil
}
