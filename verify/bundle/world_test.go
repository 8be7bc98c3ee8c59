package bundle_test

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

// A world is a whole log in memory, written as the ledger writes it: the same
// calls give the same bytes.
type world struct {
	t       testing.TB
	origin  *signer   // the first key
	signing []*signer // those that sign, the present one first
	wits    []*signer
	now     int64
	entries [][]byte
	heads   []verify.Entry
	tree    nodes
	streams map[verify.StreamKey][]uint64
	runs    map[string]*worldRun
	own     *worldRun
	judge   domains.Judge
	detect  *detect.Detector
	grounds domains.Grounds // of the access that is being appended
	notes   []archivedNote
	closes  []uint64
	close   *daybookv1.Close // the newest
	tally   worldTally
	lie     func(*verify.BatchHead, *verify.EntryHead) // what the ledger says instead; nil: the truth
	lieRows func([]verify.Row) []verify.Row            // of the table of streams
}

type archivedNote struct {
	size uint64
	note []byte
}

// worldTally is what the next close counts.
type worldTally struct {
	touched                 map[string]bool
	kinds, verdicts, alerts map[uint32]uint64
	oneOffs                 map[string]*worldOneOffs
}

type worldOneOffs struct {
	count uint64
	hash  verify.Hash
	last  uint64
}

// A worldRun is a run as its producer and the ledger see it.
type worldRun struct {
	producer   string
	id         verify.Hash
	key        ed25519.PrivateKey
	provenance daybookv1.Provenance
	epoch      uint64
	last       uint64 // number
	hash       verify.Hash
	previous   uint64 // index + 1
	oneOff     bool
}

// nodes is an RFC 6962 tree by levels, complete subtrees only.
type nodes [][]verify.Hash

func (n *nodes) add(leaf verify.Hash) {
	for level := 0; ; level++ {
		if len(*n) == level {
			*n = append(*n, nil)
		}
		(*n)[level] = append((*n)[level], leaf)
		k := len((*n)[level])
		if k%2 == 1 {
			return
		}
		leaf = verify.HashNode((*n)[level][k-2], leaf)
	}
}

func (n nodes) node(level uint, index uint64) (verify.Hash, error) {
	if int(level) >= len(n) || index >= uint64(len(n[level])) {
		return verify.Hash{}, fmt.Errorf("no node %d/%d", level, index)
	}
	return n[level][index], nil
}

func (n nodes) root(size uint64) verify.Hash {
	h, err := verify.RootAt(size, n.node)
	if err != nil {
		panic(err)
	}
	return h
}

const worldOrigin = "demo.invalid/log-0badcafe"

// newWorld opens a log at a time, with a rule that witnesses cosign.
func newWorld(t testing.TB, start time.Time, witnesses ...string) *world {
	w := &world{t: t, origin: newSigner(worldOrigin, 1), signing: []*signer{newSigner(worldOrigin, 1)}, now: start.UnixNano(), streams: map[verify.StreamKey][]uint64{}, runs: map[string]*worldRun{}, detect: detect.New()}
	for _, name := range witnesses {
		w.wits = append(w.wits, newSigner(name, 4))
	}
	w.newTally()
	w.own = &worldRun{producer: worldOrigin, id: sha256.Sum256([]byte("opening 1")), provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, epoch: 1}
	w.append(w.own, daybookv1.Kind_KIND_ORIGIN_OPENED, &daybookv1.OriginOpened{Origin: worldOrigin, Vkey: w.origin.vkey(t), FormatVersion: 1, RulesVersion: 2, LatenessLimitNs: 300e9})
	w.openRun(w.own, nil)
	return w
}

// policy is the log's own policy: all witnesses must have cosigned.
func (w *world) policy() []byte {
	if len(w.wits) == 0 {
		return []byte(verify.FormatPolicy(w.signing[0].vkey(w.t)))
	}
	text, names := "", ""
	for _, s := range w.signing {
		text += "log " + s.vkey(w.t) + "\n"
	}
	for i, s := range w.wits {
		text += fmt.Sprintf("witness w%d %s\n", i, s.vkey(w.t))
		names += fmt.Sprintf(" w%d", i)
	}
	return []byte(text + "group all all" + names + "\nquorum all\n")
}

func (w *world) newTally() {
	w.tally = worldTally{map[string]bool{}, map[uint32]uint64{}, map[uint32]uint64{}, map[uint32]uint64{}, map[string]*worldOneOffs{}}
}

// producerKey is the key of a producer.
func producerKey(producer string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(producer))
	return ed25519.NewKeyFromSeed(seed[:])
}

// fingerprint is the SHA-256 of a key's SubjectPublicKeyInfo.
func fingerprint(t testing.TB, key ed25519.PrivateKey) verify.Hash {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(spki)
}

// certificate makes the certificate of a producer.
func certificate(t testing.TB, producer string, key ed25519.PrivateKey) []byte {
	t.Helper()
	u, err := url.Parse(producer)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), URIs: []*url.URL{u}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(bytes.NewReader(make([]byte, 1024)), template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// run opens a run of a producer.
func (w *world) run(producer, name string, provenance daybookv1.Provenance) *worldRun {
	r := &worldRun{producer: producer, id: sha256.Sum256([]byte(producer + name)), key: producerKey(producer), provenance: provenance, epoch: 1}
	w.openRun(r, certificate(w.t, producer, r.key))
	return r
}

func (w *world) openRun(r *worldRun, certificate []byte) {
	r.hash = verify.RunStart(r.producer, r.id)
	w.append(r, daybookv1.Kind_KIND_RUN_OPENED, &daybookv1.RunOpened{Run: r.id[:], Provenance: r.provenance, Certificate: certificate})
}

// heartbeat lets the producer sign where the run stands.
func (w *world) heartbeat(r *worldRun) {
	w.append(r, daybookv1.Kind_KIND_RUN_HEARTBEAT, &daybookv1.RunHeartbeat{Last: r.last, Hash: r.hash[:], Epoch: r.epoch,
		Signature: ed25519.Sign(r.key, verify.HeartbeatMessage(r.hash, r.last, r.epoch))})
}

// end ends the run.
func (w *world) end(r *worldRun) {
	w.append(r, daybookv1.Kind_KIND_RUN_ENDED, &daybookv1.RunEnded{Last: r.last, Hash: r.hash[:], Epoch: r.epoch,
		Signature: ed25519.Sign(r.key, verify.EndMessage(r.hash, r.last, r.epoch))})
}

// resume raises the run's epoch.
func (w *world) resume(r *worldRun) {
	r.epoch++
	w.append(r, daybookv1.Kind_KIND_RUN_RESUMED, &daybookv1.RunResumed{Run: r.id[:], Last: r.last, Hash: r.hash[:], Epoch: r.epoch})
}

// gap declares numbers as lost; the ledger raises its alert.
func (w *world) gap(r *worldRun, n uint64) {
	first := r.last + 1
	at := w.append(r, daybookv1.Kind_KIND_GAP, &daybookv1.Gap{First: first, Last: first + n - 1, Reason: "disk full"})
	w.alert(&daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_GAP, DetectorVersion: 1, Producer: r.producer,
		Subject: fmt.Sprintf("run %x of %s, numbers %d-%d", r.id, r.producer, first, first+n-1), Entries: []uint64{at + 1}})
}

func (w *world) declined(r *worldRun) {
	sum := sha256.Sum256([]byte("declined"))
	w.append(r, daybookv1.Kind_KIND_DECLINED, &daybookv1.Declined{Number: r.last + 1, Sha256: sum[:], Reason: "too long", Field: "actor.id"})
}

func (w *world) alert(m *daybookv1.Alert) {
	id := verify.AlertID(uint32(m.Type), m.Subject, m.PeriodStartNs, m.PeriodEndNs)
	m.Id = id[:]
	w.append(w.own, daybookv1.Kind_KIND_ALERT, m)
}

// event is a usual access.
func (w *world) event(source, target string) *daybookv1.Event {
	n := len(w.entries)
	return &daybookv1.Event{EventId: fmt.Appendf(nil, "event-%06d", n), OccurredAtNs: w.now - 1e6,
		Side: daybookv1.Side_SIDE_SOURCE, Source: &daybookv1.Source{Domain: source, Proof: daybookv1.SourceProof_SOURCE_PROOF_PEER_CERTIFICATE},
		Target: &daybookv1.Target{Domain: target, Resource: "orders"}, Actor: &daybookv1.Actor{Id: fmt.Sprintf("user-%d", n%7)},
		Action: &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "GET /orders"}, Decision: daybookv1.Decision_DECISION_ALLOWED,
		Outcome: &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS}}
}

// oneOff appends an event without a run.
func (w *world) oneOff(producer string, e *daybookv1.Event) {
	w.append(&worldRun{producer: producer, id: verify.OneOffRunID(producer, e.EventId), provenance: daybookv1.Provenance_PROVENANCE_FIRST_HAND, epoch: 1, oneOff: true},
		daybookv1.Kind_KIND_ACCESS, e)
}

// propose brings a map into force: its parts, the approvals it needs, the entry.
func (w *world) propose(yaml, author string, approvers ...string) {
	m, err := domains.Parse([]byte(yaml))
	if err != nil {
		w.t.Fatal(err)
	}
	m.Author = author
	document, err := domains.MarshalDocument(m)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, part := range domains.SplitDocument(document) {
		w.append(w.own, daybookv1.Kind_KIND_PART, part)
	}
	sum := sha256.Sum256(document)
	for _, who := range approvers {
		w.append(w.own, daybookv1.Kind_KIND_APPROVAL, &daybookv1.Approval{Id: fmt.Sprintf("map-%d", len(w.entries)),
			Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, Sha256: sum[:], Approver: who, Authentication: "certificate"})
	}
	ready := w.judge.Ready()
	if ready == nil {
		w.t.Fatalf("the map is not ready: missing %v", w.judge.Proposals()[0].Missing())
	}
	w.append(w.own, daybookv1.Kind_KIND_DOMAIN_MAP, ready)
}

// approve permits an actor on a pair.
func (w *world) approve(actor, from, to, approver string) uint64 {
	return w.append(w.own, daybookv1.Kind_KIND_APPROVAL, &daybookv1.Approval{Id: fmt.Sprintf("grant-%d", len(w.entries)), Name: actor, From: from, To: to,
		Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR, Purpose: "support", Ticket: "T-1", Approver: approver, Authentication: "certificate"})
}

func (w *world) revoke(approval uint64, from, to, revoker string) {
	w.append(w.own, daybookv1.Kind_KIND_REVOCATION, &daybookv1.Revocation{Approval: approval + 1, From: from, To: to, Reason: "no longer needed", Revoker: revoker})
}

// rotate lets another key sign beside the present one.
func (w *world) rotate(seed string) {
	old, next := w.signing[0], newSigner(worldOrigin, 1)
	sum := sha256.Sum256([]byte(seed))
	next.key = ed25519.NewKeyFromSeed(sum[:])
	fingerprint := sha256.Sum256([]byte(next.vkey(w.t)))
	approval := w.append(w.own, daybookv1.Kind_KIND_APPROVAL, &daybookv1.Approval{Id: "key", Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_KEY_ROTATION,
		Sha256: fingerprint[:], Approver: "spiffe://people.example/cco", Authentication: "certificate"})
	text := verify.RotationText(old.vkey(w.t), next.vkey(w.t))
	w.append(w.own, daybookv1.Kind_KIND_KEY_ROTATION, &daybookv1.KeyRotation{Step: daybookv1.KeyStep_KEY_STEP_ROTATED, OldVkey: old.vkey(w.t), NewVkey: next.vkey(w.t),
		Note: []byte(text + "\n" + next.line(w.t, text, 0)), Approvals: []uint64{approval + 1}, Requester: "spiffe://people.example/alice"})
	w.signing = []*signer{next, old}
}

// retire ends the older of two keys.
func (w *world) retire() {
	rotation := w.judge.Keys().Current().Since
	w.append(w.own, daybookv1.Kind_KIND_KEY_ROTATION, &daybookv1.KeyRotation{Step: daybookv1.KeyStep_KEY_STEP_RETIRED, OldVkey: w.signing[1].vkey(w.t),
		NewVkey: w.signing[0].vkey(w.t), Requester: "spiffe://people.example/alice", Rotation: rotation + 1})
	w.signing = w.signing[:1]
}

// append appends one entry of a run and returns its index.
func (w *world) append(r *worldRun, kind daybookv1.Kind, m proto.Message) uint64 {
	w.t.Helper()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := verify.CheckBody(kind, body); err != nil {
		w.t.Fatalf("kind %v: %v", kind, err)
	}
	index := uint64(len(w.entries))
	head := verify.BatchHead{FormatVersion: 1, LogTimeNS: w.now, Producer: r.producer, KeyFingerprint: fingerprint(w.t, producerKey(r.producer)),
		Provenance: r.provenance, Run: r.id, Epoch: r.epoch, RulesVersion: 2}
	if r.producer == worldOrigin {
		head.KeyFingerprint = sha256.Sum256([]byte(w.signing[0].vkey(w.t)))
	}
	if v := w.judge.InForce(); v != nil {
		head.MapIndex = v.Index
	}
	place := verify.EntryHead{Kind: kind, Index: index}
	w.place(&head, &place, m, body)
	if w.lie != nil {
		w.lie(&head, &place)
	}
	key := verify.StreamKeyOf(&place)
	of := w.streams[key]
	place.Position = uint64(len(of))
	if len(of) > 0 {
		place.PreviousInStream = of[len(of)-1] + 1
	}
	w.streams[key] = append(of, index)
	w.number(r, &place, body)
	entry := verify.AppendEntry(nil, head.AppendTo(nil), place.AppendTo(nil), body)
	e, err := verify.ParseEntry(entry)
	if err != nil {
		w.t.Fatal(err)
	}
	w.entries, w.heads = append(w.entries, entry), append(w.heads, e)
	w.tree.add(verify.HashLeaf(entry))
	w.tallyEntry(r, &e)
	if err := w.judge.Apply(index, w.now, kind, body); err != nil {
		w.t.Fatalf("entry %d: %v", index, err)
	}
	w.look(&e)
	return index
}

// look shows an entry to the detectors.
func (w *world) look(e *verify.Entry) {
	shown := &detect.Entry{Head: &e.Head, Place: &e.Place, Body: e.Body, Map: w.judge.InForce()}
	if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
		ev, err := verify.ParseEvent(e.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		shown.Event, shown.Grounds = &ev, w.grounds
	}
	if err := w.detect.Take(shown); err != nil {
		w.t.Fatalf("entry %d: %v", e.Place.Index, err)
	}
	w.detect.Saved()
}

// owed writes what the detectors found since the last time.
func (w *world) owed() {
	for _, o := range w.detect.Owed() {
		if o.Alert != nil {
			w.append(w.own, daybookv1.Kind_KIND_ALERT, o.Alert)
		} else {
			w.append(w.own, daybookv1.Kind_KIND_ACTIVITY, o.Activity)
		}
	}
}

// place fills in the stream and the verdict.
func (w *world) place(head *verify.BatchHead, place *verify.EntryHead, m proto.Message, body []byte) {
	domain := strings.Split(strings.TrimPrefix(head.Producer, "spiffe://"), "/")[0]
	switch m := m.(type) {
	case *daybookv1.Declined, *daybookv1.Gap, *daybookv1.RunOpened, *daybookv1.RunResumed, *daybookv1.RunHeartbeat, *daybookv1.RunEnded:
		place.Source = domain
	case *daybookv1.Approval:
		place.Source, place.Target = m.From, m.To
	case *daybookv1.Revocation:
		place.Source, place.Target = m.From, m.To
	case *daybookv1.Alert:
		place.Source, place.Target = m.Source, m.Target
	case *daybookv1.Event:
		ev, err := verify.ParseEvent(body)
		if err != nil {
			w.t.Fatal(err)
		}
		place.Side, place.Late = m.Side, verify.Late(head.Provenance, m.OccurredAtNs, head.LogTimeNS)
		if v := w.judge.InForce(); v != nil {
			place.Source, _ = v.Resolve(ev.SourceDomain)
			place.Target, _ = v.Resolve(ev.TargetDomain)
		} else {
			place.Source, place.Target = verify.CanonicalDomain(ev.SourceDomain), verify.CanonicalDomain(ev.TargetDomain)
		}
		place.Verdict, w.grounds = w.judge.Evaluate(2, w.judge.InForce(), &domains.Access{Index: place.Index, Source: place.Source, Target: place.Target, Late: place.Late, Event: &ev})
	}
}

// number moves the run over the entry.
func (w *world) number(r *worldRun, place *verify.EntryHead, body []byte) {
	if place.Kind == daybookv1.Kind_KIND_ORIGIN_OPENED {
		return
	}
	place.PreviousInRun = r.previous
	r.previous = place.Index + 1
	if !verify.TakesNumber(place.Kind) {
		return
	}
	place.Number = r.last + 1
	r.hash = verify.RunNext(r.hash, place.Number, sha256.Sum256(body))
	r.last = place.Number
	if place.Kind == daybookv1.Kind_KIND_GAP {
		var m daybookv1.Gap
		if err := proto.Unmarshal(body, &m); err != nil {
			w.t.Fatal(err)
		}
		r.last = m.Last
	}
}

func (w *world) tallyEntry(r *worldRun, e *verify.Entry) {
	w.tally.kinds[uint32(e.Place.Kind)]++
	if e.Place.Kind == daybookv1.Kind_KIND_ACCESS {
		w.tally.verdicts[uint32(e.Place.Verdict)]++
	}
	if e.Place.Kind == daybookv1.Kind_KIND_ALERT {
		var m daybookv1.Alert
		if err := proto.Unmarshal(e.Body, &m); err != nil {
			w.t.Fatal(err)
		}
		w.tally.alerts[uint32(m.Type)]++
	}
	switch {
	case r.oneOff:
		o := w.tally.oneOffs[r.producer]
		if o == nil {
			o = &worldOneOffs{hash: verify.RunStart(r.producer, verify.Hash{})}
			w.tally.oneOffs[r.producer] = o
		}
		o.count++
		o.hash = verify.RunNext(o.hash, o.count, sha256.Sum256(e.Body))
		o.last = e.Place.Index + 1
	case e.Place.Kind != daybookv1.Kind_KIND_ORIGIN_OPENED:
		key := r.producer + string(r.id[:])
		w.runs[key] = r
		w.tally.touched[key] = true
	}
}

// closeAt closes the period that ends at a time, which is now or before.
func (w *world) closeAt(end int64) uint64 {
	w.now = min(w.now, end-1)
	w.owed()
	cut := uint64(len(w.entries))
	c := &daybookv1.Close{PeriodEndNs: end, Cut: cut, PeriodStartNs: verify.DayStart(w.heads[0].Head.LogTimeNS)}
	if w.close != nil {
		c.PeriodStartNs, c.PreviousCut, c.PreviousClose = w.close.PeriodEndNs, w.close.Cut, w.closes[len(w.closes)-1]+1
	}
	root := w.tree.root(cut)
	c.Root = root[:]
	var streams, runs verify.TableBuilder
	for _, r := range w.table(cut) {
		if _, err := streams.Add(r); err != nil {
			w.t.Fatal(err)
		}
	}
	var rows []verify.Row
	for key := range w.tally.touched {
		r := w.runs[key]
		rows = append(rows, verify.Row{Key: verify.RunRowKey(r.producer, r.id), Count: r.last, Root: r.hash})
	}
	for producer, o := range w.tally.oneOffs {
		if o.last > c.PreviousCut {
			rows = append(rows, verify.Row{Key: verify.OneOffRowKey(producer), Count: o.count, Root: o.hash})
		}
	}
	slices.SortFunc(rows, func(a, b verify.Row) int { return bytes.Compare(a.Key, b.Key) })
	for _, r := range rows {
		if _, err := runs.Add(r); err != nil {
			w.t.Fatal(err)
		}
	}
	c.Streams, c.Runs = streams.Table(), runs.Table()
	c.Kinds, c.Verdicts, c.Alerts = counted(w.tally.kinds), counted(w.tally.verdicts), counted(w.tally.alerts)
	oneOffs := w.tally.oneOffs
	w.newTally()
	w.tally.oneOffs = oneOffs
	w.now = max(w.now, end)
	index := w.append(w.own, daybookv1.Kind_KIND_CLOSE, c)
	w.close, w.closes = c, append(w.closes, index)
	return index
}

func counted(of map[uint32]uint64) (out []*daybookv1.CloseCount) {
	for value, n := range of {
		out = append(out, &daybookv1.CloseCount{Value: value, Count: n})
	}
	slices.SortFunc(out, func(a, b *daybookv1.CloseCount) int { return cmp.Compare(a.Value, b.Value) })
	return out
}

// table returns the rows of the table of streams at a cut.
func (w *world) table(cut uint64) []verify.Row {
	var rows []verify.Row
	for key, indexes := range w.streams {
		n := uint64(0)
		var f verify.Frontier
		for _, i := range indexes {
			if i < cut {
				n++
				f.Append(w.tree[0][i])
			}
		}
		if n > 0 {
			rows = append(rows, verify.Row{Key: []byte(key), Count: n, Root: f.Root()})
		}
	}
	slices.SortFunc(rows, func(a, b verify.Row) int { return bytes.Compare(a.Key, b.Key) })
	if w.lieRows != nil {
		rows = w.lieRows(rows)
	}
	return rows
}

// archive signs a checkpoint at the log's size and keeps it.
func (w *world) archive() {
	size := uint64(len(w.entries))
	text := verify.FormatCheckpoint(verify.Checkpoint{Origin: worldOrigin, Size: size, Root: w.tree.root(size)})
	note := text + "\n"
	for _, s := range w.signing {
		note += s.line(w.t, text, 0)
	}
	for _, s := range w.wits {
		note += s.line(w.t, text, uint64(w.now/1e9)+1)
	}
	w.notes = append(w.notes, archivedNote{size, []byte(note)})
}

// A signer signs checkpoints under one key; the same name gives the same bytes.
type signer struct {
	name string
	typ  byte
	key  ed25519.PrivateKey
}

func newSigner(name string, typ byte) *signer {
	seed := sha256.Sum256(fmt.Append(nil, name, typ))
	return &signer{name: name, typ: typ, key: ed25519.NewKeyFromSeed(seed[:])}
}

func (s *signer) id() []byte {
	sum := sha256.Sum256(append([]byte(s.name+"\n"+string(s.typ)), s.key.Public().(ed25519.PublicKey)...))
	return sum[:4]
}

func (s *signer) vkey(testing.TB) string {
	return fmt.Sprintf("%s+%x+%s", s.name, s.id(), base64.StdEncoding.EncodeToString(append([]byte{s.typ}, s.key.Public().(ed25519.PublicKey)...)))
}

// line signs a checkpoint's text; a witness at a time.
func (s *signer) line(_ testing.TB, text string, unix uint64) string {
	blob := slices.Clone(s.id())
	if s.typ == 4 {
		blob = binary.BigEndian.AppendUint64(blob, unix)
		blob = append(blob, ed25519.Sign(s.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", unix, text))...)
	} else {
		blob = append(blob, ed25519.Sign(s.key, []byte(text))...)
	}
	return "\u2014 " + s.name + " " + base64.StdEncoding.EncodeToString(blob) + "\n"
}
