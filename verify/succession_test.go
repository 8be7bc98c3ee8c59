package verify_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func TestCheckPredecessor(t *testing.T) {
	l := newSampleLog(t, 5)
	good := &daybookv1.Predecessor{Origin: l.origin.name, Vkey: l.origin.vkey(t), Checkpoints: [][]byte{l.checkpoint(t, 3), l.checkpoint(t, 7)}, LostFirst: 3, LostEnd: 7}
	ended := &daybookv1.Predecessor{Origin: l.origin.name, Vkey: l.origin.vkey(t), Checkpoints: [][]byte{l.checkpoint(t, 7)}, LostFirst: 7, LostEnd: 7, Succession: 7}
	for _, m := range []*daybookv1.Predecessor{good, ended} {
		if err := verify.CheckPredecessor("new.example/log", m); err != nil {
			t.Error(err)
		}
	}
	for name, bend := range map[string]func(*daybookv1.Predecessor){
		"no checkpoint": func(m *daybookv1.Predecessor) { m.Checkpoints = nil },
		"sizes fall": func(m *daybookv1.Predecessor) {
			m.Checkpoints[0], m.Checkpoints[1] = m.Checkpoints[1], m.Checkpoints[0]
		},
		"another origin":        func(m *daybookv1.Predecessor) { m.Origin = "other.example/log" },
		"no key":                func(m *daybookv1.Predecessor) { m.Vkey = "" },
		"another key":           func(m *daybookv1.Predecessor) { m.Vkey = newSigner(l.origin.name, 4).vkey(t) },
		"a signature's byte":    func(m *daybookv1.Predecessor) { m.Checkpoints[1][len(m.Checkpoints[1])-4] ^= 1 },
		"lost more than known":  func(m *daybookv1.Predecessor) { m.LostEnd = 8 },
		"lost backwards":        func(m *daybookv1.Predecessor) { m.LostFirst, m.LostEnd = 5, 4 },
		"ended and lost":        func(m *daybookv1.Predecessor) { m.Succession = 7 },
		"ended at another size": func(m *daybookv1.Predecessor) { m.LostFirst, m.LostEnd, m.Succession = 7, 7, 6 },
	} {
		m := proto.CloneOf(good)
		bend(m)
		if err := verify.CheckPredecessor("new.example/log", m); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := verify.CheckPredecessor(l.origin.name, good); err == nil {
		t.Error("a log succeeded itself")
	}
}
