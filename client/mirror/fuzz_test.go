package mirror_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"

	"github.com/daybook-ledger/daybook/client/mirror"
)

// A roundTrip answers requests.
type roundTrip func(*http.Request) *http.Response

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// FuzzAnswers has a source answer one request with other bytes, or with another
// status and header: the copy is the log's or was not made, and what is said of it
// may go to a terminal.
func FuzzAnswers(f *testing.F) {
	l := newLog(f)
	good := l.show(f, history(300, 300, 0))
	var names []string
	for name := range good {
		names = append(names, name)
	}
	slices.Sort(names)
	for i := range names {
		f.Add(uint(i), uint(3*i), []byte{byte(i)}, uint(1), 200, "")
		f.Add(uint(i), uint(0), []byte("{\"message\":\"\x1b[2J\"}"), uint(1<<20), 403, "1")
	}
	f.Add(uint(0), uint(0), []byte("later"), uint(1<<20), 503, "9223372036854775807")
	f.Add(uint(0), uint(0), []byte("later"), uint(1<<20), 429, "9999999999")
	f.Fuzz(func(t *testing.T, file, at uint, put []byte, cut uint, status int, after string) {
		bent := names[file%uint(len(names))]
		if status < 200 || status > 599 {
			status = 200
		}
		client := &http.Client{Transport: roundTrip(func(r *http.Request) *http.Response {
			name := strings.TrimPrefix(r.URL.Path, "/")
			answer := &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, Request: r}
			body := []byte("not here")
			if f := good[name]; f != nil {
				body = f.Data
			} else {
				answer.StatusCode = http.StatusNotFound
			}
			if name == bent {
				lo := at % uint(len(body)+1)
				body = slices.Concat(body[:lo], put, body[min(lo+cut, uint(len(body))):])
				answer.StatusCode, answer.Status = status, "403 \x1b[2J"
				answer.Header.Set("Retry-After", after)
			}
			answer.Body = io.NopCloser(bytes.NewReader(body))
			return answer
		})}
		dir := t.TempDir()
		m, err := mirror.Open(mirror.Config{From: "http://log.invalid", Dir: dir, Policy: l.policy, Client: client, Workers: 1, Patience: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if _, err := m.Once(t.Context()); err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("it says %q", err)
			}
			if left := files(t, dir); left["checkpoint"] != "" {
				t.Errorf("a copy was published, %v", err)
			}
			return
		}
		if bent == "checkpoint" { // a signature of a stranger says nothing
			b, err := os.ReadFile(dir + "/checkpoint")
			if err != nil {
				t.Fatal(err)
			}
			whole := fstest.MapFS{}
			for name, f := range good {
				whole[name] = f
			}
			whole["checkpoint"] = &fstest.MapFile{Data: b}
			if _, err := l.policy.Open(b); err != nil {
				t.Error(err)
			}
			wantCopy(t, dir, whole)
			return
		}
		wantCopy(t, dir, good)
	})
}
