package witness_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/witness"
	"github.com/daybook-ledger/daybook/server/witness/witnesstest"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

// A misbehaviour is made for the witness that misbehaves.
type misbehaviour = func(o *witnesstest.Witness) witnesstest.Misbehaviour

func newOutsider(t *testing.T, name string, typ byte) *witnesstest.Witness {
	return witnesstest.New(t, name, typ, ledgertest.VKey)
}

// policyOf asks for so many of the outsiders.
func policyOf(t *testing.T, need int, outsiders ...*witnesstest.Witness) *witness.Policy {
	t.Helper()
	text, members := "log "+ledgertest.VKey+"\n", ""
	for i, o := range outsiders {
		text += fmt.Sprintf("witness w%d %s %s\n", i, o.Key.VKey(), o.URL())
		members += fmt.Sprintf(" w%d", i)
	}
	p, err := witness.ReadPolicy([]byte(text+fmt.Sprintf("group g %d%s\nquorum g\n", need, members)), ledgertest.VKey)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A scene is a log whose witnesses are asked.
type scene struct {
	t      *testing.T
	g      *ledgertest.Log
	w      *witness.Witnesses
	policy *witness.Policy
	run    verify.Hash
	next   uint64
	stop   func()
}

var fast = witness.Options{Every: time.Millisecond, Timeout: time.Minute, StartWait: time.Hour}

// stage opens a log with witnesses; g is one that was closed, or nil.
func stage(t *testing.T, policy *witness.Policy, g *ledgertest.Log, await bool, o witness.Options) *scene {
	t.Helper()
	if g == nil {
		g = ledgertest.Create(t, vfs.NewMem(), "log", ledgertest.Options{})
		g.Close()
	}
	g, err := ledgertest.Open(t, g.FS, g.Dir, ledgertest.Options{Policy: policy.Policy, Await: await, Anchor: g.Anchor})
	if err != nil {
		t.Fatal(err)
	}
	o.Log, o.Policy = g.L, policy
	w, err := witness.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	s := &scene{t: t, g: g, w: w, policy: policy, run: sha256.Sum256([]byte("witnessed")), next: 1}
	s.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		g.Close()
	})
	t.Cleanup(s.stop)
	return s
}

// append appends events and returns the index of the last.
func (s *scene) append(n int) uint64 {
	s.t.Helper()
	if s.next == 1 {
		if _, err := s.g.L.OpenRun(s.t.Context(), ledgertest.Producer, &daybookv1.RunOpened{Run: s.run[:], Provenance: 1}, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	r, err := s.g.L.Append(s.t.Context(), ledgertest.Producer, ledgertest.Batch(s.run, 1, s.next, n))
	if err != nil {
		s.t.Fatal(err)
	}
	s.next += uint64(n)
	g := r.Groups[len(r.Groups)-1]
	return g.FirstIndex + uint64(len(g.EntryHeads)) - 1
}

// witnessed waits until an entry is covered by a witnessed checkpoint, which must
// open under the policy.
func (s *scene) witnessed(index uint64) verify.Opened {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	a, err := s.g.L.WaitWitnessed(ctx, index)
	if err != nil {
		s.t.Fatalf("waiting for the witnesses of entry %d: %v; %+v", index, err, s.w.Status())
	}
	o, err := s.policy.Open(a.Note)
	if err != nil || o.Size != a.Size || o.Size <= index {
		s.t.Fatalf("entry %d: %+v, %v", index, o, err)
	}
	return o
}

// until waits for a condition; what names it.
func (s *scene) until(what string, met func() bool) {
	s.t.Helper()
	for range 20000 {
		if met() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	s.t.Fatalf("%s: never; %+v", what, s.w.Status())
}

func TestQuorum(t *testing.T) {
	a, b := newOutsider(t, "witness.test/a", 4), newOutsider(t, "witness.test/b", 6)
	s := stage(t, policyOf(t, 2, a, b), nil, true, fast)
	s.until("open", func() bool { return s.g.L.Shut() == "" })
	for range 20 {
		if o := s.witnessed(s.append(3)); len(o.Witnesses) != 2 {
			t.Fatalf("cosigned by %v", o.Witnesses)
		}
	}
	for _, st := range s.w.Status() {
		if st.Size == 0 || st.Error != "" || st.Failures != 0 || st.Contradicts || st.Time.Unix() < 1_800_000_000 {
			t.Errorf("%+v", st)
		}
	}
	for _, o := range []*witnesstest.Witness{a, b} {
		if o.Peers() != 1 {
			t.Errorf("%s: %d connections", o.Key.Name, o.Peers())
		}
	}
	// The next life knows what they confirmed: no conflict.
	n := len(a.Olds())
	s.stop()
	s = stage(t, s.policy, s.g, true, fast)
	s.next = 1000
	s.until("open", func() bool { return s.g.L.Shut() == "" })
	if olds := a.Olds(); olds[n] == 0 {
		t.Errorf("a was asked from %d", olds[n])
	}
}

// TestLies: whatever one witness answers, the other one's cosignatures are
// attached, no checkpoint is spoiled, the log goes on, and the status says what is
// wrong.
func TestLies(t *testing.T) {
	stranger := cosigntest.Witness{Name: "witness.test/stranger", Type: 4}
	for name, instead := range map[string]func(o *witnesstest.Witness) witnesstest.Misbehaviour{
		"wrong key": func(*witnesstest.Witness) witnesstest.Misbehaviour {
			return func(w http.ResponseWriter, note []byte) bool { fmt.Fprint(w, stranger.Line(note, 9)); return true }
		},
		"its name, another key": func(o *witnesstest.Witness) witnesstest.Misbehaviour {
			return func(w http.ResponseWriter, note []byte) bool {
				fmt.Fprint(w, cosigntest.Witness{Name: o.Key.Name, Type: 6}.Line(note, 9))
				return true
			}
		},
		"bad signature": func(o *witnesstest.Witness) witnesstest.Misbehaviour {
			return func(w http.ResponseWriter, note []byte) bool {
				line := []byte(o.Key.Line(note, 9))
				line[len(line)-20] ^= 1 // still base64
				_, _ = w.Write(line)
				return true
			}
		},
		"another's bad signature": func(o *witnesstest.Witness) witnesstest.Misbehaviour {
			return func(w http.ResponseWriter, note []byte) bool {
				line := []byte(cosigntest.Witness{Name: "witness.test/good", Type: 6}.Line(note, 9))
				line[len(line)-20] ^= 1
				fmt.Fprintf(w, "%s%s", o.Key.Line(note, 9), line)
				return true
			}
		},
		"another size": func(o *witnesstest.Witness) witnesstest.Misbehaviour {
			return func(w http.ResponseWriter, _ []byte) bool {
				fmt.Fprint(w, o.Key.Line(ledgertest.Checkpoint(7, verify.Hash{7}), 9))
				return true
			}
		},
		"no time": func(o *witnesstest.Witness) witnesstest.Misbehaviour {
			return func(w http.ResponseWriter, note []byte) bool { fmt.Fprint(w, o.Key.Line(note, 0)); return true }
		},
		"nothing":   answers(200, "", ""),
		"garbage":   answers(200, "", "\x00\xff\n\n\n— "),
		"a page":    answers(200, "text/html", "<html>please log in</html>\n"),
		"huge body": answers(200, "", strings.Repeat("— witness.test/a AAAAAAAAAAAA\n", 10000)),
		"endless": func(*witnesstest.Witness) witnesstest.Misbehaviour {
			return func(w http.ResponseWriter, _ []byte) bool {
				for {
					if _, err := w.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
						return true
					}
				}
			}
		},
		"huge header": func(*witnesstest.Witness) witnesstest.Misbehaviour {
			return func(w http.ResponseWriter, _ []byte) bool {
				w.Header().Set("X", strings.Repeat("x", 1<<20))
				return true
			}
		},
		"teapot":              answers(418, "", "I'm a teapot"),
		"500":                 answers(500, "", "unknown origin"),
		"429":                 answers(429, "", "slow down"),
		"404":                 answers(404, "", "unknown origin"),
		"redirect":            answers(302, "", ""),
		"a larger size":       answers(409, "text/x.tlog.size", "1000000\n"),
		"the largest size":    answers(409, "text/x.tlog.size", "9223372036854775807\n"),
		"beyond all sizes":    answers(409, "text/x.tlog.size", "18446744073709551616\n"),
		"a size with a zero":  answers(409, "text/x.tlog.size", "01\n"),
		"size zero each time": answers(409, "text/x.tlog.size", "0\n"),
		"size one each time":  answers(409, "text/x.tlog.size", "1\n"),
		"conflict, no size":   answers(409, "text/plain", "another root\n"),
		"no prefix":           answers(422, "text/plain", "no prefix\n"),
		"hangs up": func(*witnesstest.Witness) witnesstest.Misbehaviour {
			return func(w http.ResponseWriter, _ []byte) bool { panic(http.ErrAbortHandler) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, good := newOutsider(t, "witness.test/bad", 4), newOutsider(t, "witness.test/good", 6)
			bad.Instead(instead(bad))
			s := stage(t, policyOf(t, 1, bad, good), nil, true, fast)
			s.until("open", func() bool { return s.g.L.Shut() == "" })
			for range 3 {
				o := s.witnessed(s.append(2))
				if len(o.Witnesses) != 1 || o.Witnesses[0].Witness != "w1" {
					t.Fatalf("cosigned by %v", o.Witnesses)
				}
			}
			s.until("the fault shows", func() bool { return s.w.Status()[0].Failures > 0 })
			st := s.w.Status()[0]
			claims := map[string]bool{"a larger size": true, "the largest size": true, "conflict, no size": true, "no prefix": true, "beyond all sizes": true, "a size with a zero": true}
			if st.Error == "" || st.Size != 0 || st.Contradicts != claims[name] {
				t.Errorf("%+v", st)
			}
			if s.g.L.Shut() != "" || s.g.Evidence.Note("presented") != nil {
				t.Errorf("a mere claim shut the log: %s", s.g.L.Shut())
			}
			bad.Instead(nil) // it comes to its senses
			last := s.append(1)
			s.until("it cosigns", func() bool { return s.w.Status()[0].Size > last })
			if st := s.w.Status()[0]; st.Error != "" || st.Contradicts {
				t.Errorf("%+v", st)
			}
		})
	}
}

func answers(status int, typ, text string) misbehaviour {
	return func(*witnesstest.Witness) witnesstest.Misbehaviour { return witnesstest.Answer(status, typ, text) }
}

// TestAppendsNeverWait: witnesses that hang, or are not there, hold up nothing.
func TestAppendsNeverWait(t *testing.T) {
	hangs, dead := newOutsider(t, "witness.test/hangs", 4), newOutsider(t, "witness.test/dead", 4)
	release := make(chan struct{})
	hangs.Instead(func(http.ResponseWriter, []byte) bool { <-release; return true })
	dead.Die()
	s := stage(t, policyOf(t, 1, hangs, dead), nil, false, fast)
	for range 100 {
		s.append(5)
	}
	s.until("dead is known", func() bool { return s.w.Status()[1].Failures > 0 })
	if n := len(hangs.Olds()); n > 1 {
		t.Errorf("%d requests in flight", n)
	}
	if _, err := s.g.L.Witnessed(); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("witnessed by nobody: %v", err)
	}
	close(release)
	s.stop()
}

// TestForkIsProven: a witness that shows what the log's own key signed, and the log
// has not, shuts it.
func TestForkIsProven(t *testing.T) {
	for name, c := range map[string]struct {
		size   uint64
		answer func(*witnesstest.Witness) witnesstest.Misbehaviour
	}{
		"larger":       {1000000, answers(409, "text/x.tlog.size", "1000000\n")},
		"another root": {1, answers(422, "", "no prefix\n")},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOutsider(t, "witness.test/a", 4)
			o.Instead(c.answer(o))
			s := stage(t, policyOf(t, 1, o), nil, false, fast)
			s.until("the claim shows", func() bool { return s.w.Status()[0].Contradicts })
			s.append(1)
			o.Show(append(ledgertest.Checkpoint(c.size, verify.Hash{9}), cosigntest.Witness{Name: "witness.test/a", Type: 4}.Line(ledgertest.Checkpoint(c.size, verify.Hash{9}), 9)...))
			s.until("shut", func() bool { return s.g.L.Shut() != "" })
			// It shuts first and keeps the proof next.
			s.until("evidence is kept", func() bool { return s.g.Evidence.Note("presented") != nil })
			if !strings.Contains(s.g.L.Shut(), "witness w0 holds a checkpoint") {
				t.Error(s.g.L.Shut())
			}
			n := len(o.Olds())
			var shut *ledger.ShutError
			if _, err := s.g.L.Append(t.Context(), ledgertest.Producer, ledgertest.Batch(s.run, 1, s.next, 1)); !errors.As(err, &shut) {
				t.Errorf("append: %v", err)
			}
			if m := len(o.Olds()); m > n+1 {
				t.Errorf("a shut log asked %d times", m-n)
			}
		})
	}
}

// TestShownByOthers: what a stranger signed proves nothing.
func TestShownByOthers(t *testing.T) {
	o := newOutsider(t, "witness.test/a", 4)
	o.Instead(answers(409, "text/x.tlog.size", "1000000\n")(o))
	o.Show([]byte(verify.FormatCheckpoint(verify.Checkpoint{Origin: ledgertest.Origin, Size: 1000000, Root: verify.Hash{9}}) + "\n— log.test/0000d0d0 AAAAAAA=\n"))
	s := stage(t, policyOf(t, 1, o), nil, false, fast)
	s.until("the claim shows", func() bool { return s.w.Status()[0].Failures > 1 })
	if s.append(1); s.g.L.Shut() != "" || s.w.Status()[0].Claim != 1000000 {
		t.Errorf("shut %q, %+v", s.g.L.Shut(), s.w.Status()[0])
	}
}

// details returns what the log says of its witnesses.
func (s *scene) details() (out []string) {
	s.t.Helper()
	if err := s.g.L.Entries(s.t.Context(), 0, s.g.L.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil || e.Place.Kind != daybookv1.Kind_KIND_ACTIVITY {
			return err
		}
		var m daybookv1.Activity
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			return err
		}
		if m.Type == daybookv1.ActivityType_ACTIVITY_TYPE_WITNESSED {
			out = append(out, m.Detail)
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *scene) says(text string) {
	s.t.Helper()
	s.until("an entry says "+text, func() bool { return strings.Contains(strings.Join(s.details(), "\n"), text) })
}

func TestStart(t *testing.T) {
	refuses := answers(503, "", "later")
	claims := answers(409, "text/x.tlog.size", "1000000\n")
	short := fast
	short.StartWait = time.Millisecond
	t.Run("require", func(t *testing.T) {
		o := newOutsider(t, "witness.test/a", 4)
		o.Instead(refuses(o))
		require := short
		require.Require = true
		s := stage(t, policyOf(t, 1, o), nil, true, require)
		s.until("asked", func() bool { return s.w.Status()[0].Failures > 1 })
		var shut *ledger.ShutError
		if _, err := s.g.L.OpenRun(t.Context(), ledgertest.Producer, &daybookv1.RunOpened{Run: s.run[:], Provenance: 1}, nil); !errors.As(err, &shut) {
			t.Fatalf("it opened without its witness: %v", err)
		}
		o.Instead(nil)
		s.until("open", func() bool { return s.g.L.Shut() == "" })
		s.witnessed(s.append(1))
		s.says("the quorum of witnesses confirmed")
	})
	t.Run("warn", func(t *testing.T) {
		o := newOutsider(t, "witness.test/a", 4)
		o.Instead(refuses(o))
		s := stage(t, policyOf(t, 1, o), nil, true, short)
		s.until("open", func() bool { return s.g.L.Shut() == "" })
		s.says("no quorum of witnesses within 1ms")
		last := s.append(1)
		o.Instead(nil)
		s.witnessed(last)
		s.says("there again")
	})
	t.Run("warn, but all say that it is behind", func(t *testing.T) {
		o := newOutsider(t, "witness.test/a", 4)
		o.Instead(claims(o))
		slow := fast
		slow.StartWait = 500 * time.Millisecond
		s := stage(t, policyOf(t, 1, o), nil, true, slow)
		s.until("asked", func() bool { return s.w.Status()[0].Failures > 1 })
		time.Sleep(slow.StartWait)
		if s.g.L.Shut() == "" {
			t.Error("it opened against its witnesses")
		}
	})
}

// TestLostQuorum: entries say that the quorum is missing, and that it is there again.
func TestLostQuorum(t *testing.T) {
	o := newOutsider(t, "witness.test/a", 4)
	impatient := fast
	impatient.LostAfter = time.Millisecond
	s := stage(t, policyOf(t, 1, o), nil, true, impatient)
	s.until("open", func() bool { return s.g.L.Shut() == "" })
	s.witnessed(s.append(1))
	o.Instead(answers(503, "", "later")(o))
	last := s.append(1)
	s.says("is missing for")
	o.Instead(nil)
	s.witnessed(last)
	s.says("there again")
}

// TestHeartbeat: an idle head is cosigned again, with a later time.
func TestHeartbeat(t *testing.T) {
	o := newOutsider(t, "witness.test/a", 4)
	beats := fast
	beats.Heartbeat = 2 * time.Millisecond
	s := stage(t, policyOf(t, 1, o), nil, false, beats)
	first := s.witnessed(s.append(1))
	size := s.g.L.Head().Size
	s.until("cosigned again", func() bool {
		w, err := s.g.L.Witnessed()
		if err != nil {
			return false
		}
		opened, err := s.policy.Open(w.Note)
		return err == nil && opened.Size == size && opened.Witnesses[0].Unix > first.Witnesses[0].Unix+3
	})
	if n := len(s.details()); n != 0 {
		t.Errorf("%d entries about it", n)
	}
}

func TestReadPolicy(t *testing.T) {
	key := cosigntest.Witness{Name: "witness.test/a", Type: 4}.VKey()
	good := "witness a " + key + " https://a.test/x\nquorum a"
	keys, err := verify.NewKeyChain(ledgertest.VKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{good, good + "\n", "# log\n" + good, "log " + ledgertest.VKey + "\n" + good} {
		p, err := witness.ReadPolicy([]byte(text), ledgertest.VKey)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		full := p.Text(keys)
		again, err := witness.ReadPolicy([]byte(full), ledgertest.VKey)
		if err != nil || again.Text(keys) != full || fmt.Sprint(again.LogKeys()) != fmt.Sprint([]string{ledgertest.VKey}) {
			t.Errorf("%q: %q, %v", text, full, err)
		}
	}
	for _, text := range []string{
		"", "quorum none", "witness a " + key + "\nquorum a", "witness a " + key + " ftp://a.test\nquorum a", "witness a " + key + " a.test\nquorum a",
		"witness a " + key + " https://a.test/?x=1\nquorum a", "witness a " + key + " https://a.test\nquorum none",
		"log " + otherLog(t) + "\n" + good, "log " + key + "\n" + good, "hello",
	} {
		if p, err := witness.ReadPolicy([]byte(text), ledgertest.VKey); err == nil {
			t.Errorf("%q is taken as %q", text, p.Text(keys))
		}
	}
}

// otherLog is the key of another log.
func otherLog(t *testing.T) string {
	t.Helper()
	_, vkey, err := note.GenerateKey(rand.Reader, "log.test/other")
	if err != nil {
		t.Fatal(err)
	}
	return vkey
}
