package cmd_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// reader reads a log over gRPC with nothing of the client library but its
// profile, so that what the library claims is checked by something else.
type reader struct {
	t      *testing.T
	query  apiv1.QueryServiceClient
	policy *verify.Policy
}

// newReader connects to the query listener that a profile names.
func newReader(t *testing.T, profilePath string) *reader {
	t.Helper()
	profile := loadProfile(t, profilePath)
	conn, err := grpc.NewClient(profile.Query,
		grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig(t, profile))),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	policy, err := verify.KeyPolicy(profile.VKey)
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t: t, query: apiv1.NewQueryServiceClient(conn), policy: policy}
}

func loadProfile(t *testing.T, path string) *client.Profile {
	t.Helper()
	profile, err := client.LoadProfile(path)
	if err != nil {
		t.Fatal(err)
	}
	return profile
}

// tlsConfig is how a profile's owner speaks to the log.
func tlsConfig(t *testing.T, profile *client.Profile) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(profile.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %s", profile.CA)
	}
	own, err := tls.LoadX509KeyPair(profile.Certificate, profile.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13}
}

// first reads entry 0, which a log serves even while it is shut.
func (r *reader) first() []byte {
	r.t.Helper()
	page, err := r.query.ListEntries(r.context(), &apiv1.ListEntriesRequest{Ascending: true, PageSize: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	if len(page.Entries) != 1 || page.Entries[0].Place.GetKind() != daybookv1.Kind_KIND_ORIGIN_OPENED {
		r.t.Fatalf("the first entry is %v", page.Entries)
	}
	return page.Entries[0].Entry
}

// checkpoint returns the newest checkpoint, its signature checked.
func (r *reader) checkpoint() verify.Checkpoint {
	r.t.Helper()
	a, err := r.query.GetCheckpoint(r.context(), &apiv1.GetCheckpointRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.open(a.Checkpoint)
}

func (r *reader) open(note []byte) verify.Checkpoint {
	r.t.Helper()
	c, err := r.policy.OpenCheckpoint(note)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// extends checks that the log proves newer to be a continuation of older.
func (r *reader) extends(older, newer verify.Checkpoint) error {
	if older.Size == newer.Size && older.Root == newer.Root {
		return nil
	}
	a, err := r.query.GetConsistencyProof(r.context(), &apiv1.GetConsistencyProofRequest{First: older.Size, Second: newer.Size})
	if err != nil {
		return fmt.Errorf("consistency of %d and %d: %w", older.Size, newer.Size, err)
	}
	if len(a.Proof)%32 != 0 {
		return errors.New("the proof is no sequence of hashes")
	}
	proof := make([]verify.Hash, len(a.Proof)/32)
	for i := range proof {
		copy(proof[i][:], a.Proof[32*i:])
	}
	return verify.CheckConsistency(older.Size, newer.Size, older.Root, newer.Root, proof)
}

// all returns the bytes of every entry up to a checkpoint, oldest first, after
// checking that they are the tree the checkpoint signs.
func (r *reader) all() ([][]byte, verify.Checkpoint) {
	r.t.Helper()
	var entries [][]byte
	var tree verify.Frontier
	request := &apiv1.ListEntriesRequest{Ascending: true, PageSize: 1000}
	for {
		page, err := r.query.ListEntries(r.context(), request)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range page.Entries {
			if e.Index != uint64(len(entries)) {
				r.t.Fatalf("the list has index %d where %d is next", e.Index, len(entries))
			}
			entries = append(entries, e.Entry)
			tree.Append(verify.HashLeaf(e.Entry))
		}
		if request.PageToken = page.NextPageToken; request.PageToken != "" {
			continue
		}
		if page.TreeSize != tree.Size {
			r.t.Fatalf("the list has %d entries of a tree of %d", tree.Size, page.TreeSize)
		}
		a, err := r.query.GetCheckpoint(r.context(), &apiv1.GetCheckpointRequest{Size: tree.Size})
		if err != nil {
			r.t.Fatal(err)
		}
		c := r.open(a.Checkpoint)
		if c.Size != tree.Size || c.Root != tree.Root() {
			r.t.Fatalf("the %d entries listed are not the tree of the checkpoint of size %d", tree.Size, c.Size)
		}
		return entries, c
	}
}

// unavailable reports whether an error is the answer of a log that does not
// take appends now.
func unavailable(err error) bool { return status.Code(err) == codes.Unavailable }

// context bounds one call.
func (r *reader) context() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	r.t.Cleanup(cancel)
	return ctx
}
