package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDomainMapOfAnIndex goes by the numbers that the commands print: the map by
// which an entry was judged is proven for its index, before and after the next
// version, and an approval is revoked by its own.
func TestDomainMapOfAnIndex(t *testing.T) {
	dir := t.TempDir()
	d := serve(t, filepath.Join(dir, "log"), append(anyPorts(), "--dev")...)
	t.Setenv("DAYBOOK_PROFILE", d.profile())
	cco := filepath.Join(dir, "log", "clients", "operator")
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	events := func(id string) string {
		return file(id+".jsonl", fmt.Sprintf(`{"eventId":"%s","source":{"domain":"web"},"target":{"domain":"db"},"actor":{"id":"alice"},"action":{"class":"ACTION_CLASS_READ","operation":"select"},"decision":"DECISION_ALLOWED","outcome":{"result":"OUTCOME_RESULT_SUCCESS"}}`+"\n", id))
	}
	var sums []string
	var versions, entries []uint64
	for i, purpose := range []string{"orders", "orders, and their repair"} {
		yaml := file("domains.yaml", `firm: Example
approver: cco
people:
  - {id: cco, identities: [spiffe://demo.invalid/operator]}
domains:
  - {id: web, function: customer-interface, tier: production, risk: high, owner: Digital, gateways: [spiffe://demo.invalid/producer]}
  - {id: db, function: database, tier: production, risk: high, owner: Data}
flows:
  - {id: web-to-db, from: web, to: db, actions: [read], purpose: "`+purpose+`", approver: cco}
`)
		var proposed struct {
			SHA256  string   `json:"sha256"`
			Missing []string `json:"missing"`
		}
		mustJSON(t, &proposed, "daybook", "domains", "propose", yaml, "--json")
		var approved struct {
			InForce struct {
				Index uint64 `json:"index,string"`
			} `json:"in_force"`
		}
		mustJSON(t, &approved, "daybook", "domains", "approve", proposed.SHA256[:12], "--identity", cco, "--json")
		var appended struct {
			Indexes []uint64 `json:"indexes"`
		}
		mustJSON(t, &appended, "daybook", "append", "--json", events(fmt.Sprintf("YWJj%d", i)+"AAA"))
		sums, versions, entries = append(sums, proposed.SHA256), append(versions, approved.InForce.Index), append(entries, appended.Indexes[0])
	}
	for i, at := range entries {
		var got struct {
			SHA256   string `json:"sha256"`
			Index    uint64 `json:"index"`
			ForEntry uint64 `json:"for_entry"`
			Verdict  string `json:"verdict"`
		}
		mustJSON(t, &got, "daybook", "domains", "get", "--at", fmt.Sprint(at), "--json")
		if got.SHA256 != sums[i] || got.Index != versions[i] || got.ForEntry != at || got.Verdict != "VERIFIED" {
			t.Errorf("the map for entry %d is %+v, want that at %d", at, got, versions[i])
		}
		want := fmt.Sprintf("VERIFIED entry %d was judged by the domain map at %d\n", at, versions[i])
		if said := must(t, "daybook", "domains", "get", "--at", fmt.Sprint(at), "--verify"); !strings.HasPrefix(said, want) {
			t.Errorf("proven is %q, want %q first", said, want)
		}
	}

	var approval, revoked struct {
		Index uint64 `json:"index"`
	}
	mustJSON(t, &approval, "daybook", "approve", "--flow", "web-to-db", "--for", "1h", "--identity", cco, "--json")
	mustJSON(t, &revoked, "daybook", "revoke", fmt.Sprint(approval.Index), "--reason", "done", "--json")
	if revoked.Index <= approval.Index {
		t.Errorf("revoked at %d what was approved at %d", revoked.Index, approval.Index)
	}
}
