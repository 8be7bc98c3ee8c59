package cmd_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/client"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// readme returns the lines inside the README's fences.
func readme(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	inside := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "```") {
			inside = !inside
		} else if inside {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return lines
}

// TestReadmeRequests makes every REST request of the README, as curl would.
func TestReadmeRequests(t *testing.T) {
	d := serve(t, filepath.Join(t.TempDir(), "log"), append(anyPorts(), "--dev")...)
	c := dial(t, d, t.TempDir())
	defer c.Close()
	run, err := c.OpenRun(t.Context(), client.RunOptions{Provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND})
	if err != nil {
		t.Fatal(err)
	}
	var items []client.Item
	for i := range 120 { // the examples name indexes and sizes up to 100
		id := fmt.Sprintf("order-%d", i+1)
		body, err := event(id)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, client.Event(body))
	}
	if _, err := run.Append(t.Context(), items...); err != nil {
		t.Fatal(err)
	}
	profile := loadProfile(t, d.profile())
	web := http.Client{Transport: &http.Transport{TLSClientConfig: tlsConfig(t, profile)}, Timeout: patience}
	defer web.CloseIdleConnections()
	request := regexp.MustCompile(`^\$api '?https://127\.0\.0\.1:7403(/[^' ]*)`)
	made := 0
	for _, line := range readme(t) {
		m := request.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		made++
		answer, err := web.Get("https://" + profile.QueryHTTP + m[1])
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !json.Valid(body) {
			t.Errorf("%s: %s, %v: %.300s", m[1], answer.Status, err, body)
		}
	}
	if made < 8 {
		t.Errorf("found only %d requests in the README", made)
	}
	if _, err := http.Get("https://" + profile.QueryHTTP + "/v1/checkpoint"); err == nil {
		t.Error("the query listener answers somebody without a certificate")
	}
}

// TestReadmeCommands checks that each program, verb and flag that the README
// uses is one that the program's help knows.
func TestReadmeCommands(t *testing.T) {
	command := regexp.MustCompile(`(?:^|[ /])(daybookd|daybook|daybook-verify) ([a-z]+)([^#]*)`)
	flag := regexp.MustCompile(`--[a-z-]+`)
	help := map[string]string{}
	found := 0
	for _, line := range readme(t) {
		m := command.FindStringSubmatch(line)
		if m == nil || !strings.HasPrefix(line, "./daybook") && !strings.HasPrefix(line, "go run") {
			continue
		}
		found++
		verbs := []string{m[2]}
		if below := strings.Fields(m[3]); slices.Contains([]string{"domains", "identity", "config"}, m[2]) && len(below) > 0 {
			verbs = append(verbs, below[0])
		}
		call := m[1] + " " + strings.Join(verbs, " ")
		if _, ok := help[call]; !ok {
			help[call] = must(t, m[1], append(verbs, "--help")...)
		}
		for _, f := range flag.FindAllString(m[3], -1) {
			if !strings.Contains(help[call], f) && !strings.Contains(help[call], f[1:]) {
				t.Errorf("%s has no flag %s, which the README uses: %s", call, f, line)
			}
		}
	}
	if found < 8 {
		t.Errorf("found only %d commands in the README", found)
	}
}

// TestBuildCommandIsOne compares the command that builds daybook-verify as it is
// released, in the README and in the guide, with what the program says of itself,
// but for the version of Go and the platform.
func TestBuildCommandIsOne(t *testing.T) {
	spread := regexp.MustCompile(`(\s|\\\n)+`)
	some := regexp.MustCompile(`(GOTOOLCHAIN|GOOS|GOARCH)=\S+`)
	plain := func(text string) string { return some.ReplaceAllString(spread.ReplaceAllString(text, " "), "$1=X") }
	_, command, ok := strings.Cut(must(t, "daybook-verify", "version"), "built again by: ")
	if !ok {
		t.Fatal("version says nothing of it")
	}
	want := plain(strings.TrimSpace(command))
	for _, name := range []string{"README.md", "server/console/guide/keys.md"} {
		text, err := os.ReadFile(filepath.Join(root(t), name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plain(string(text)), want) {
			t.Errorf("%s lacks the command\n%s", name, command)
		}
	}
}
