// Package synthetic makes events of the shape of real cloud API calls, about
// 550 bytes each, for benchmarks.
package synthetic

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// variety is how many different events a producer cycles through.
const variety = 512

// A Maker makes events of one producer: marshalled beforehand, so that only id
// and time are written anew. It belongs to one goroutine.
type Maker struct {
	templates [][]byte
	at        int // next template
	serial    uint64
	producer  uint32
}

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
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(event(random, i))
		if err != nil {
			panic("marshalling a template: " + err.Error())
		}
		m.templates = append(m.templates, body)
	}
	return m
}

// Next returns the bytes of a new event, which says that it occurred now; the
// caller owns them.
func (m *Maker) Next() []byte {
	body := append([]byte(nil), m.templates[m.at]...)
	m.at = (m.at + 1) % len(m.templates)
	m.serial++
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
	account := fmt.Sprintf("%012d", 100000000000+random.IntN(64))
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
