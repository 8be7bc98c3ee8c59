package ledger_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// auditEntries is the size of the log that the benchmarks check.
const auditEntries = 1 << 18

// BenchmarkFsck re-derives a log of real-shaped entries, about 680 bytes each in
// 1,152 streams, with everything that Fsck checks.
func BenchmarkFsck(b *testing.B) {
	g := auditLog(b)
	defer g.Close()
	size := g.L.Head().Size
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		r, err := g.L.Fsck(b.Context(), nil)
		if err != nil || !r.OK || r.Entries != size {
			b.Fatalf("%+v, %v", r, err)
		}
	}
	b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(size)/float64(b.N), "ns/entry")
}

// auditLog appends the log that the benchmarks check, 1,000 events per batch
// from four producers' runs.
func auditLog(b *testing.B) *ledgertest.Log {
	g := ledgertest.Create(b, vfs.Default, b.TempDir(), ledgertest.Options{Production: true})
	events := auditEvents()
	const batch, runs = 1000, 4
	for r := range runs {
		run := verify.Hash(sha256.Sum256(fmt.Appendf(nil, "run %d", r)))
		if _, err := g.L.OpenRun(b.Context(), ledgertest.Producer, &daybookv1.RunOpened{Run: run[:], Provenance: 1}, nil); err != nil {
			b.Fatal(err)
		}
		for first := 1; first < auditEntries/runs; first += batch {
			items := make([]ledger.Item, batch)
			for i := range items {
				body := append([]byte(nil), events[(first+i)%len(events)]...)
				binary.BigEndian.PutUint64(body[2:], uint64(first+i))
				items[i] = ledger.Item{Body: body}
			}
			if _, err := g.L.Append(b.Context(), ledgertest.Producer, ledger.Batch{Run: run, Epoch: 1, First: uint64(first), Items: items}); err != nil {
				b.Fatal(err)
			}
		}
	}
	return g
}

// auditEvents are events of the shape of cloud API calls, the same each time.
// The first 16 bytes of value are the id.
func auditEvents() [][]byte {
	random := rand.New(rand.NewPCG(1, 550))
	services := []string{"ec2.amazonaws.com", "s3.amazonaws.com", "sts.amazonaws.com", "kms.amazonaws.com", "iam.amazonaws.com", "rds.amazonaws.com"}
	events := make([][]byte, 4096)
	for i := range events {
		account := fmt.Sprintf("%012d", 100000000000+random.IntN(64))
		digest := sha256.Sum256(fmt.Append(nil, i))
		readOnly := true
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&daybookv1.Event{
			EventId:      make([]byte, 16),
			OccurredAtNs: time.Now().UnixNano(),
			Clock:        &daybookv1.Clock{UncertaintyNs: 5_000_000, OriginalText: "2026-11-02T11:42:23Z", Source: "chrony:NIST"},
			Side:         daybookv1.Side(1 + random.IntN(3)),
			Source: &daybookv1.Source{Domain: account, Address: fmt.Sprintf("10.%d.%d.%d", random.IntN(256), random.IntN(256), random.IntN(256)),
				Service: "gateway-" + account[10:], Proof: daybookv1.SourceProof_SOURCE_PROOF_PEER_CERTIFICATE},
			Target: &daybookv1.Target{Domain: services[random.IntN(len(services))], Service: "api",
				Resource: fmt.Sprintf("arn:aws:s3:::evidence-%04d-%x/%x", random.IntN(5000), random.Uint32(), random.Uint64()), Type: "AWS::S3::Object", Classification: "customer"},
			Actor: &daybookv1.Actor{Id: "arn:aws:iam::" + account + ":user/user-" + fmt.Sprint(random.IntN(400)), Type: daybookv1.ActorType_ACTOR_TYPE_HUMAN, Authentication: "oidc+mfa",
				Credential: &daybookv1.CredentialFingerprint{KeyId: "fp-2026", HmacSha256: digest[:]}, LoginSession: fmt.Sprintf("%016x", random.Uint64())},
			Action: &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "DescribeInstances", Protocol: "https", ReadOnly: &readOnly},
			Authorization: &daybookv1.Authorization{PolicyId: "crossing-policy", PolicyVersion: "2026-10-31.2", Rule: fmt.Sprintf("allow-%d", random.IntN(40)),
				Ticket: fmt.Sprintf("CHG-%06d", random.IntN(1_000_000)), Purpose: "settlement"},
			Decision:       daybookv1.Decision_DECISION_ALLOWED,
			Outcome:        &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS, Code: "200"},
			CorrelationId:  fmt.Appendf(nil, "%016x-%08x", random.Uint64(), random.Uint32()),
			RetentionClass: "default-6y",
			Attributes: []*daybookv1.Attribute{{Key: "aws.region", Value: "us-east-1"},
				{Key: "http.user_agent", Value: "Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic"}},
		})
		if err != nil {
			panic("marshalling an event: " + err.Error())
		}
		events[i] = body
	}
	return events
}
