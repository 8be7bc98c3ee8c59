// Package firm is a sample broker-dealer: its domain map, and a day of accesses
// between its domains.
//
// The day holds one violation of every kind that Daybook finds, each named by
// what is expected of it, and nothing else that is wrong: see [Day] and
// [Expected]. The same date gives the same day, byte for byte.
package firm

import (
	"crypto/sha256"
	_ "embed" // for the map
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

//go:embed map.yaml
var mapFile []byte

// Map returns the domain map's file.
func Map() []byte { return slices.Clone(mapFile) }

// Date is the day that the map was written for: one of its flows ends on it.
var Date = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// The people of the firm, as they are authenticated.
const (
	Author    = "spiffe://people.firm.example/author"     // writes the map
	CCO       = "spiffe://people.firm.example/cco"        // chief compliance officer
	DataOwner = "spiffe://people.firm.example/data-owner" // approves what reaches the database
	Diane     = "diane@firm.example"                      // the same person, as an actor
)

// The producers of the firm.
const (
	Web       = "spiffe://customer-web/app"
	Web2      = "spiffe://customer-web/app2" // planted: with the key of Web
	Desk      = "spiffe://broker-desk/oms"   // expected to report every 30 minutes
	Admin     = "spiffe://admin-console/bastion"
	Watch     = "spiffe://compliance/surveillance"
	Database  = "spiffe://prod-db/audit"
	TestBench = "spiffe://test-db/runner"
	Edge      = "spiffe://gateways.firm.example/edge"
	Core      = "spiffe://gateways.firm.example/core"
)

// A Step is one thing that happens. Exactly one of Event, Approve, Revoke, Propose
// and Lost is set.
type Step struct {
	At       time.Time // log time
	Producer string    // of an event or a loss; SPIFFE id
	Event    *daybookv1.Event
	Lost     uint64 // so many numbers are declared lost

	Person  string              // of the others
	Approve *daybookv1.Approval // approver and authentication are left out
	Revoke  string              // id of the approval
	Propose bool                // the map, which everybody else then approves

	// Planted says what is wrong with it, in words; empty: nothing.
	Planted string
	// Verdict is what an access is expected to get.
	Verdict daybookv1.Verdict
}

// An Alert is one that the day must raise. Subject is a part of the alert's.
type Alert struct {
	Type    daybookv1.AlertType
	Subject string
}

// KeyOf returns the key fingerprint of a producer. Web2 has Web's.
func KeyOf(producer string) [32]byte {
	if producer == Web2 {
		producer = Web
	}
	return sha256.Sum256([]byte("key of " + producer))
}

// A maker makes the steps of a day.
type maker struct {
	day    time.Time
	run    string // what event ids begin with
	random *rand.Rand
	steps  []Step
	serial uint64
}

// Day returns the steps of the day that begins at UTC midnight of date, in the
// order of their times: from ten minutes before, when the map comes into force.
func Day(date time.Time) []Step {
	m := &maker{day: date.UTC().Truncate(24 * time.Hour), run: "firm", random: rand.New(rand.NewPCG(17, 4))}
	m.add(Step{At: m.at(-10 * time.Minute), Person: Author, Propose: true})
	m.usual()
	m.approvals()
	m.violations()
	slices.SortStableFunc(m.steps, func(a, b Step) int { return a.At.Compare(b.At) })
	return m.steps
}

func (m *maker) at(d time.Duration) time.Time { return m.day.Add(d) }

func (m *maker) add(s Step) { m.steps = append(m.steps, s) }

// A report is an access as a producer reports it.
type report struct {
	at        time.Duration
	producer  string
	side      daybookv1.Side
	from, to  string
	actor     string
	class     daybookv1.ActionClass
	operation string
	proof     daybookv1.SourceProof
	crossing  uint64 // reports of one crossing share it; 0: a new one
	verdict   daybookv1.Verdict
	planted   string
	change    func(*daybookv1.Event)
}

const (
	authorized = daybookv1.Verdict_VERDICT_AUTHORIZED
	bySource   = daybookv1.Side_SIDE_SOURCE
	byTarget   = daybookv1.Side_SIDE_TARGET
	byGateway  = daybookv1.Side_SIDE_GATEWAY
	reads      = daybookv1.ActionClass_ACTION_CLASS_READ
	creates    = daybookv1.ActionClass_ACTION_CLASS_CREATE
	configures = daybookv1.ActionClass_ACTION_CLASS_CONFIGURE
	token      = daybookv1.SourceProof_SOURCE_PROOF_SIGNED_TOKEN
	claim      = daybookv1.SourceProof_SOURCE_PROOF_CALLER_CLAIM
)

// report adds an access.
func (m *maker) report(r report) {
	m.serial++
	if r.crossing == 0 {
		r.crossing = m.serial
	}
	if r.proof == 0 {
		r.proof = token
	}
	at := m.at(r.at)
	e := &daybookv1.Event{
		EventId:      fmt.Appendf(nil, "%s-%06d", m.run, m.serial),
		OccurredAtNs: at.Add(-200 * time.Millisecond).UnixNano(),
		Clock:        &daybookv1.Clock{UncertaintyNs: 2_000_000, Source: "chrony:NIST", OffsetNs: 300_000},
		Side:         r.side,
		Source:       &daybookv1.Source{Domain: r.from, Address: "10.0.0.1", Proof: r.proof},
		Target:       &daybookv1.Target{Domain: r.to, Resource: "accounts", Type: "table"},
		Actor: &daybookv1.Actor{Id: r.actor, Type: daybookv1.ActorType_ACTOR_TYPE_HUMAN, Authentication: "oidc+mfa",
			Credential: &daybookv1.CredentialFingerprint{KeyId: "firm-1", HmacSha256: fingerprint(r.from, r.actor)}},
		Action:        &daybookv1.Action{Class: r.class, Operation: r.operation, Protocol: "https"},
		Decision:      daybookv1.Decision_DECISION_ALLOWED,
		Outcome:       &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS},
		CorrelationId: binary.BigEndian.AppendUint64([]byte("crossing"), r.crossing),
	}
	if r.change != nil {
		r.change(e)
	}
	m.add(Step{At: at, Producer: r.producer, Event: e, Planted: r.planted, Verdict: r.verdict})
}

// fingerprint is that of the credential an actor has in a domain.
func fingerprint(domain, actor string) []byte {
	sum := sha256.Sum256([]byte(domain + "\x00" + actor))
	return sum[:]
}
