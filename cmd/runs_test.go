package cmd_test

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/client"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// TestLostRun: a producer dies with its spool. Its run is killed with the
// server, is seen silent, and its lost numbers are declared with a command; what
// the report says of it holds in front of the log's own check.
func TestLostRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	flags := append(anyPorts(), "--dev")
	d := serve(t, dir, flags...)
	p, err := client.LoadProfile(d.profile())
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(p.Config())
	if err != nil {
		t.Fatal(err)
	}
	lost, err := c.OpenRun(t.Context(), client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND,
		SilenceLimit: time.Second, HeartbeatEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		body, err := event(fmt.Sprintf("lost-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lost.Append(t.Context(), client.Event(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	d.kill()
	d = serve(t, dir, flags...)
	id := lost.ID()
	name := hex.EncodeToString(id[:])

	awaitAnswer := func(want string, args ...string) {
		t.Helper()
		text := ""
		for range 600 {
			if text = must(t, "daybook", append(args, "--profile", d.profile(), "--json")...); strings.Contains(text, want) {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("daybook %v never says %s: %s", args, want, text)
	}
	awaitAnswer(name, "runs", "--status", "silent")
	awaitAnswer("ALERT_TYPE_SILENCE", "list", "--kind", "alert")

	said := must(t, "daybook", "runs", "gap", name[:8], "--through", "10", "--reason", "the disk was lost", "--profile", d.profile())
	if !strings.Contains(said, "numbers 4-10 of run "+name+" are declared lost") {
		t.Errorf("gap said %q", said)
	}
	awaitAnswer("ALERT_TYPE_GAP", "list", "--kind", "alert")
	said = must(t, "daybook", "runs", name, "--profile", d.profile())
	for _, want := range []string{"10: 3 events, 0 declined, 7 lost in 1 gaps", "signed by its producer up to number 10, its last", "resumed 1x"} {
		if !strings.Contains(said, want) {
			t.Errorf("the report lacks %q:\n%s", want, said)
		}
	}
	d.mustStop(t)
	must(t, "daybookd", "fsck", "--data", dir)
}
