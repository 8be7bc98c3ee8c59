package domains_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

func body(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func apply(t testing.TB, j *domains.Judge, index uint64, logged int64, kind daybookv1.Kind, m proto.Message) {
	t.Helper()
	if err := j.Apply(index, logged, kind, body(t, m)); err != nil {
		t.Fatalf("entry %d: %v", index, err)
	}
}

// propose applies the parts of a document from an index on.
func propose(t testing.TB, j *domains.Judge, index uint64, m *daybookv1.MapDocument) [32]byte {
	t.Helper()
	document, err := domains.MarshalDocument(m)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range domains.SplitDocument(document) {
		apply(t, j, index+uint64(i), 100, daybookv1.Kind_KIND_PART, part)
	}
	p := j.Proposals()
	return p[len(p)-1].SHA256
}

func approveMap(t testing.TB, j *domains.Judge, index uint64, sum [32]byte, who string) {
	t.Helper()
	apply(t, j, index, 200, daybookv1.Kind_KIND_APPROVAL, &daybookv1.Approval{Id: fmt.Sprint(index), Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE,
		Sha256: sum[:], Approver: who})
}

// TestJudgeBringsMapsIntoForce walks a log's governance: two versions, one of
// them of many parts, and proposals that end.
func TestJudgeBringsMapsIntoForce(t *testing.T) {
	j := new(domains.Judge)
	first := sampleDocument()
	first.Yaml = []byte(strings.Repeat("# a long file\n", 20000))
	sum := propose(t, j, 10, first)
	if p := j.Proposals()[0]; p.FirstPart != 10 || p.Parts < 5 || !slices.Equal(p.Missing(), []string{"cco"}) {
		t.Fatalf("proposal %+v", p)
	}
	if err := j.MayApprove(sum, "spiffe://people/nobody"); err == nil {
		t.Error("nobody may approve")
	}
	approveMap(t, j, 30, sum, "spiffe://people/nobody")
	if j.Ready() != nil || j.InForce() != nil {
		t.Fatal("in force by nobody's approval")
	}
	approveMap(t, j, 31, sum, "spiffe://people/cco")
	ready := j.Ready()
	if ready == nil || ready.FirstPart != 11 || ready.Previous != 0 || !slices.Equal(ready.Approvals, []uint64{32}) || ready.Author != first.Author {
		t.Fatalf("ready %+v", ready)
	}
	if err := j.Apply(32, 1, daybookv1.Kind_KIND_APPROVAL, nil); err == nil {
		t.Error("something else came before the map that is ready")
	}
	wrong := proto.CloneOf(ready)
	wrong.Author = "mallory"
	if err := j.Apply(32, 300, daybookv1.Kind_KIND_DOMAIN_MAP, body(t, wrong)); err == nil {
		t.Error("a map by another author came into force")
	}
	apply(t, j, 32, 300, daybookv1.Kind_KIND_DOMAIN_MAP, ready)
	if v := j.InForce(); v == nil || v.Index != 32 || v.LogTimeNS != 300 || v.Domain("web") == nil || len(j.Proposals()) != 0 {
		t.Fatalf("in force %+v", v)
	}
	document, _ := domains.MarshalDocument(sampleDocument())
	if _, err := j.Propose(document); err != nil && !errors.Is(err, domains.ErrUnchanged) {
		t.Errorf("proposing: %v", err)
	}
}

// TestIdentityCannotBeTaken proposes a version that gives the approver's id to
// the author: the map in force says who the approver is.
func TestIdentityCannotBeTaken(t *testing.T) {
	j := new(domains.Judge)
	sum := propose(t, j, 10, sampleDocument())
	approveMap(t, j, 20, sum, "spiffe://people/cco")
	apply(t, j, 21, 300, daybookv1.Kind_KIND_DOMAIN_MAP, j.Ready())

	second := sampleDocument()
	second.Author = "spiffe://people/alice"
	second.Domains[0].Owner = "somebody else"
	second.People[1].Identities = []string{"spiffe://people/cco", "spiffe://people/mallory"}
	sum = propose(t, j, 30, second)
	if err := j.MayApprove(sum, "spiffe://people/mallory"); err == nil {
		t.Error("mallory approves by an identity that is only proposed")
	}
	approveMap(t, j, 40, sum, "spiffe://people/mallory")
	approveMap(t, j, 41, sum, "spiffe://people/alice")
	var author *domains.AuthorError
	if err := j.MayApprove(sum, "oidc#alice"); !errors.As(err, &author) {
		t.Errorf("the author may approve under another identity: %v", err)
	}
	if j.Ready() != nil {
		t.Fatal("ready without the approver")
	}
	approveMap(t, j, 42, sum, "spiffe://people/cco")
	if j.Ready() == nil {
		t.Fatal("not ready")
	}
}

// TestAuthorByAnotherName: who proposes a version cannot approve it by giving an
// approver a name of the author's in that version, or the other way round.
func TestAuthorByAnotherName(t *testing.T) {
	j := new(domains.Judge)
	sum := propose(t, j, 10, sampleDocument())
	approveMap(t, j, 20, sum, "spiffe://people/cco")
	apply(t, j, 21, 300, daybookv1.Kind_KIND_DOMAIN_MAP, j.Ready())
	for _, author := range []string{"spiffe://people/cco", "spiffe://people/cco-laptop", "spiffe://people/alice"} {
		second := sampleDocument()
		second.Author = author
		second.Domains[0].Owner = "somebody else"
		second.People[0].Identities = []string{"alice"}
		second.People[1].Identities = []string{"spiffe://people/alice", "spiffe://people/cco", "spiffe://people/cco-laptop"}
		document, err := domains.MarshalDocument(second)
		if err != nil {
			t.Fatal(err)
		}
		var refused *domains.AuthorError
		if _, err := j.Propose(document); !errors.As(err, &refused) || refused.Author != "cco" {
			t.Errorf("%s proposes what cco approves, and is cco by it: %v", author, err)
		}
	}
}

// TestApprovalOfMapEnds: an approval of a proposal counts while it is valid and not
// revoked.
func TestApprovalOfMapEnds(t *testing.T) {
	j := new(domains.Judge)
	two := sampleDocument()
	two.People = append(two.People, &daybookv1.Person{Id: "owner", Identities: []string{"spiffe://people/owner"}})
	two.Flows[0].Approver = "owner"
	sum := propose(t, j, 10, two)
	approveMap(t, j, 20, sum, "spiffe://people/cco")
	apply(t, j, 21, 210, daybookv1.Kind_KIND_REVOCATION, &daybookv1.Revocation{Approval: 21, Revoker: "spiffe://people/cco"})
	for i, over := range []*daybookv1.Approval{{NotAfterNs: 200}, {NotBeforeNs: 201}} {
		over.Id, over.Subject = fmt.Sprint(i), daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE
		over.Sha256, over.Approver = sum[:], "spiffe://people/cco"
		apply(t, j, 22+uint64(i), 200, daybookv1.Kind_KIND_APPROVAL, over)
	}
	approveMap(t, j, 24, sum, "spiffe://people/owner")
	if j.Ready() != nil || !slices.Equal(j.Proposals()[0].Missing(), []string{"cco"}) {
		t.Fatalf("ready %+v, missing %v", j.Ready(), j.Proposals()[0].Missing())
	}
	approveMap(t, j, 25, sum, "spiffe://people/cco")
	if ready := j.Ready(); ready == nil || !slices.Equal(ready.Approvals, []uint64{25, 26}) {
		t.Fatalf("ready %+v", ready)
	}
}

// TestProposalsAreBounded: no author can keep others from proposing, and all of
// them have a bound in number and in bytes.
func TestProposalsAreBounded(t *testing.T) {
	fill := func(size, most, mostOfOne int) {
		j := new(domains.Judge)
		made, index := 0, uint64(1)
		for author := range 6 {
			for n := 0; ; n++ {
				m := sampleDocument()
				m.Author, m.Yaml = fmt.Sprintf("spiffe://people/author-%d", author), fmt.Appendf(nil, "%d %s", made, strings.Repeat("x", size))
				document, err := domains.MarshalDocument(m)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := j.Propose(document); err != nil {
					if !errors.Is(err, domains.ErrTooManyProposals) || n < mostOfOne && made < most {
						t.Fatalf("proposal %d, %d of author %d: %v", made, n, author, err)
					}
					break
				}
				for _, part := range domains.SplitDocument(document) {
					apply(t, j, index, 100, daybookv1.Kind_KIND_PART, part)
					index++
				}
				made++
			}
		}
		if made != most {
			t.Errorf("%d proposals of %d bytes are open, want %d", made, size, most)
		}
	}
	fill(10, domains.MaxProposals, domains.MaxProposals/4)
	fill(15<<20, 4, 2)
}

func TestPartsMustBeWhole(t *testing.T) {
	document, err := domains.MarshalDocument(sampleDocument())
	if err != nil {
		t.Fatal(err)
	}
	big := sampleDocument()
	big.Yaml = make([]byte, 2*domains.MaxPart)
	bigDocument, _ := domains.MarshalDocument(big)
	parts := domains.SplitDocument(bigDocument)
	other := domains.SplitDocument(append(document[:len(document):len(document)], 1))
	for name, wrong := range map[string][]*daybookv1.Part{
		"left out":    {parts[0], parts[2]},
		"doubled":     {parts[0], parts[0]},
		"not a map":   other,
		"swapped":     {parts[1]},
		"interrupted": {parts[0], nil},
	} {
		j := new(domains.Judge)
		var failed error
		for i, p := range wrong {
			if p == nil {
				failed = j.Apply(99, 1, daybookv1.Kind_KIND_REVOCATION, nil)
			} else if err := j.Apply(uint64(10+i), 1, daybookv1.Kind_KIND_PART, body(t, p)); err != nil {
				failed = err
			}
		}
		if failed == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// FuzzParseDocument: what parses is what marshalling gives.
func FuzzParseDocument(f *testing.F) {
	document, err := domains.MarshalDocument(sampleDocument())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Add(document[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := domains.ParseDocument(b)
		if err != nil {
			return
		}
		again, err := domains.MarshalDocument(m.Document())
		if err != nil || string(again) != string(b) {
			t.Fatalf("parsed %x, marshalled %x: %v", b, again, err)
		}
	})
}
