// Package synthetic makes events of the shape of real cloud API calls, about
// 550 bytes each, for benchmarks.
package synthetic

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// variety is how many different events a producer cycles through.
const variety = 512

// A Maker makes events of one producer: marshalled beforehand, so that only id
// and time are written anew. It belongs to one goroutine.
type Maker struct {
	templates []template
	at        int // next template
	serial    uint64
	producer  uint32
	sources   uint64 // different sources; 0: those of the templates, up to 64
}

// A template is an event with the places of what differs from one to the next.
type template struct {
	body        []byte
	source      int // of the 12 digits of the source domain
	correlation int // of the last 8 hex digits of the correlation id
}

// firstSource is the number that the source domains count up from.
const firstSource = 100_000_000_000

// The event begins with field 1 (16 bytes of id) and field 2 (time), so that
// both stand at fixed places.
const (
	idAt   = 2
	timeAt = 2 + 16 + 1
)

// NewMaker returns the maker of a producer; other producers get other events.
func NewMaker(producer int) *Maker {
	m := &Maker{producer: uint32(producer)}
	random := rand.New(rand.NewPCG(uint64(producer), 550))
	for i := range variety {
		e := event(random, i)
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
		if err != nil {
			panic("marshalling a template: " + err.Error())
		}
		m.templates = append(m.templates, template{body, bytes.Index(body, []byte(e.Source.Domain)),
			bytes.Index(body, e.CorrelationId) + len(e.CorrelationId) - 8})
	}
	return m
}

// Spread has the events come from n source domains, each of which reaches up to
// six targets and is seen from three sides: up to 18 n streams.
func (m *Maker) Spread(n int) { m.sources = uint64(n) }

// Next returns the bytes of a new event, which says that it occurred now; the
// caller owns them.
func (m *Maker) Next() []byte {
	t := &m.templates[m.at]
	body := append([]byte(nil), t.body...)
	m.at = (m.at + 1) % len(m.templates)
	m.serial++
	if m.sources > 0 {
		strconv.AppendUint(body[t.source:t.source], firstSource+m.serial*0x9e3779b1%m.sources, 10)
	}
	const hex = "0123456789abcdef"
	for i := range 8 {
		body[t.correlation+i] = hex[m.serial>>(28-4*i)&0xf]
	}
	now := time.Now().UnixNano()
	binary.BigEndian.PutUint32(body[idAt:], m.producer)
	binary.BigEndian.PutUint64(body[idAt+4:], uint64(now))
	binary.BigEndian.PutUint32(body[idAt+12:], uint32(m.serial))
	binary.LittleEndian.PutUint64(body[timeAt:], uint64(now))
	return body
}

var (
	services = []string{"ec2.amazonaws.com", "s3.amazonaws.com", "sts.amazonaws.com", "kms.amazonaws.com", "iam.amazonaws.com", "rds.amazonaws.com"}
	actions  = []string{"DescribeInstances", "GetObject", "AssumeRole", "Decrypt", "ListUsers", "DescribeDBInstances", "GetBucketLogging", "PutObject"}
)

func event(random *rand.Rand, i int) *daybookv1.Event {
	account := fmt.Sprintf("%012d", firstSource+random.IntN(64))
	user := fmt.Sprintf("user-%03d", random.IntN(400))
	operation := actions[random.IntN(len(actions))]
	readOnly := operation[0] != 'P' && operation[0] != 'A'
	var hmac [32]byte
	for j := 0; j < 32; j += 8 {
		binary.LittleEndian.PutUint64(hmac[j:], random.Uint64())
	}
	return &daybookv1.Event{
		EventId:      make([]byte, 16),
		OccurredAtNs: 1,
		Clock:        &daybookv1.Clock{UncertaintyNs: 5_000_000, OriginalText: "2026-11-02T11:42:23Z", Source: "chrony:NIST"},
		Side:         daybookv1.Side(1 + random.IntN(3)),
		Source: &daybookv1.Source{Domain: account, Address: fmt.Sprintf("10.%d.%d.%d", random.IntN(256), random.IntN(256), random.IntN(256)),
			Service: "gateway-" + account[10:], Proof: daybookv1.SourceProof_SOURCE_PROOF_PEER_CERTIFICATE},
		Target: &daybookv1.Target{Domain: services[i%len(services)], Service: "api",
			Resource: fmt.Sprintf("arn:aws:s3:::evidence-%04d-%x/%x", random.IntN(5000), random.Uint32(), random.Uint64()), Type: "AWS::S3::Object", Classification: "customer"},
		Actor: &daybookv1.Actor{Id: "arn:aws:iam::" + account + ":user/" + user, Type: daybookv1.ActorType_ACTOR_TYPE_HUMAN, Authentication: "oidc+mfa",
			Credential: &daybookv1.CredentialFingerprint{KeyId: "fp-2026", HmacSha256: hmac[:]}, LoginSession: fmt.Sprintf("%016x", random.Uint64())},
		Action: &daybookv1.Action{Class: daybookv1.ActionClass(1 + random.IntN(6)), Operation: operation, Protocol: "https", ReadOnly: &readOnly},
		Authorization: &daybookv1.Authorization{PolicyId: "crossing-policy", PolicyVersion: "2026-10-31.2", Rule: fmt.Sprintf("allow-%d", random.IntN(40)),
			Ticket: fmt.Sprintf("CHG-%06d", random.IntN(1_000_000)), Purpose: "settlement"},
		Decision:       daybookv1.Decision_DECISION_ALLOWED,
		Outcome:        &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS, Code: "200"},
		CorrelationId:  fmt.Appendf(nil, "%016x-%08x", random.Uint64(), random.Uint32()),
		RetentionClass: "default-6y",
		Attributes: []*daybookv1.Attribute{{Key: "aws.region", Value: "us-east-1"},
			{Key: "http.user_agent", Value: "Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic"}},
	}
}
