package report

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// demoOrigin is what the origins of demonstrations begin with.
const demoOrigin = "demo.invalid/"

// model returns the values of README.txt and report.html.
func (w *Writer) model(s *Summary) fields {
	m := fields{}
	t := &w.tally
	w.describeQuestion(m)
	w.describeLog(m, s)
	w.describeClaims(m, s)
	w.describeMaps(m, s)
	describeLosses(m, s)
	m["total"], m["unauthorized"], m["denied"] = count(t.total), count(t.unauthorized), count(t.denied)
	w.describeAccesses(m)
	for name, l := range map[string]*listed{"alert": &t.alerts, "approval": &t.approvals, "close": &t.closes} {
		m[name+"_list"], m[name+"s"], m[name+"s_left"] = ends(l.entries), count(l.total), l.left()
	}
	m["runs"], m["runs_left"] = ends(t.runs.entries), t.runs.left()
	m["numbered"], m["numbered_total"], m["one_offs"] = count(t.numbered), count(t.runs.total), count(s.OneOffs)
	return m
}

// describeQuestion says what was asked.
func (w *Writer) describeQuestion(m fields) {
	h, q := w.head, w.head.Question
	m["case"], m["item"], m["asked_by"], m["recipient"] = show(q.Case, ""), show(q.Item, ""), show(q.AskedBy, ""), show(q.Recipient, "")
	scopeName := "accesses"
	switch {
	case q.Log:
		scopeName = "log"
	case q.Range != nil:
		scopeName = "range"
		m["range"] = fields{"first": strconv.FormatUint(q.Range.First, 10), "end": strconv.FormatUint(q.Range.End, 10)}
	case len(q.Streams) > 0:
		scopeName = "streams"
		var names []scope
		for _, s := range q.Streams {
			names = append(names, fields{"name": show(string(s), "")})
		}
		m["streams"] = ends(names)
	}
	m["scope"], m["is_accesses"], m["tiles"] = scopeName, scopeName == "accesses", q.Log || q.Range != nil
	for name, s := range map[string]question.Selector{"from": q.From, "to": q.To} {
		if s != (question.Selector{}) {
			m[name] = fields{"domain": show(s.Domain, ""), "tier": show(s.Tier, ""), "function": show(s.Function, ""), "owner": show(s.Owner, "")}
		}
	}
	var unknown []scope
	for _, u := range h.Unknown {
		unknown = append(unknown, fields{"text": show(u.Text, "")})
	}
	m["unknown"] = ends(unknown)
	if h.Parts > 1 {
		m["part"], m["parts"] = strconv.Itoa(h.Part), strconv.Itoa(h.Parts)
		m["first"], m["end"] = strconv.FormatUint(h.First, 10), strconv.FormatUint(h.End, 10)
	}
	if p := q.Period; p != nil {
		m["zone"], m["local"] = show(p.Zone, ""), len(w.offsets) > 0
		m["period"] = fields{"text": show(p.Text, ""), "zone": show(p.Zone, ""), "by": p.By,
			"start": human(bound(p.Start)), "end": human(bound(p.End)), "start_local": human(w.localBound(p.Start)), "end_local": human(w.localBound(p.End))}
	}
}

// bound returns a bound of a period, which is to the second, as utc does.
func bound(s string) string { return strings.TrimSuffix(s, "Z") + ".000000000Z" }

func (w *Writer) localBound(s string) string {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return ""
	}
	return localTime(at, w.offsets)
}

// describeLog says whose log it is and how far it goes.
func (w *Writer) describeLog(m fields, s *Summary) {
	h := w.head
	m["origin"], m["demo"] = show(h.Origin, ""), strings.HasPrefix(h.Origin, demoOrigin)
	if h.OpenedNS != 0 {
		m["began"] = human(utc(h.OpenedNS))
	}
	m["size"], m["root"] = count(h.Checkpoint.Size), hex.EncodeToString(h.Checkpoint.Root[:])
	if h.Close != nil {
		m["close"] = fields{"index": strconv.FormatUint(h.CloseIndex, 10), "cut": strconv.FormatUint(h.Cut, 10), "end": human(utc(h.Close.GetPeriodEndNs()))}
	}
	m["streams_selected"], m["checkpoints"] = count(uint64(len(h.Selected))), count(uint64(len(s.Checkpoints)))
	var witnesses []scope
	for _, c := range h.Checkpoint.Witnesses {
		at := time.Unix(c.Unix, 0).UTC().Format("2006-01-02 15:04:05 UTC")
		witnesses = append(witnesses, fields{"name": show(c.Name, ""), "at": at})
	}
	m["witnesses"], m["keys"] = ends(witnesses), ends(keysOf(h.Policy))
}

// keysOf returns the keys that a policy names, in its order.
func keysOf(policy []byte) (keys []scope) {
	for line := range strings.SplitSeq(string(policy), "\n") {
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		var role, name, vkey string
		switch {
		case len(words) >= 2 && words[0] == "log":
			role, vkey = "log", words[1]
			name, _, _ = strings.Cut(vkey, "+")
		case len(words) >= 3 && words[0] == "witness":
			role, name, vkey = "witness", words[1], words[2]
			if key, _, _ := strings.Cut(vkey, "+"); key != name {
				name += " (" + key + ")"
			}
		default:
			continue
		}
		sum, err := verify.VKeyFingerprint(vkey)
		if err != nil {
			continue
		}
		said := verify.FingerprintWords(sum)
		keys = append(keys, fields{"role": role, "name": show(name, ""), "sha256": hex.EncodeToString(sum[:]), "words": strings.Join(said, " "),
			"words_1": strings.Join(said[:6], " "), "words_2": strings.Join(said[6:], " ")})
	}
	return keys
}

// describeClaims says what is proved.
func (w *Writer) describeClaims(m fields, s *Summary) {
	var claims []scope
	proved := 0
	for _, c := range s.Claims {
		if c.State == Proved {
			proved++
		}
		detail := strings.TrimSuffix(show(c.Detail, ""), ".")
		claims = append(claims, fields{"name": show(c.Name, ""), "state": string(c.State), "failed": c.State == Failed, "detail": detail})
	}
	m["claims"], m["claims_total"], m["proved"] = ends(claims), strconv.Itoa(len(claims)), strconv.Itoa(proved)
}

// describeMaps says what was declared.
func (w *Writer) describeMaps(m fields, s *Summary) {
	var maps []scope
	var flows []scope
	var total uint64
	before := map[string]*flowRow{}
	for _, v := range s.Maps {
		doc := v.Document()
		maps = append(maps, fields{"index": strconv.FormatUint(v.Index, 10), "since": human(utc(v.LogTimeNS)), "firm": show(doc.GetFirm(), ""),
			"author": show(v.Body.GetAuthor(), ""), "domains": grouped(uint64(len(doc.GetDomains()))), "flows": grouped(uint64(len(doc.GetFlows())))})
		now := map[string]*flowRow{}
		for _, f := range doc.GetFlows() {
			if !asked(w.head.Sources, f.GetFrom()) || !asked(w.head.Targets, f.GetTo()) {
				continue
			}
			row := before[f.GetId()]
			if row == nil || !proto.Equal(row.flow, f) {
				row = &flowRow{flow: f, values: describeFlow(f, v)}
				if total++; total <= maxListed {
					flows = append(flows, row.values)
				}
			}
			row.accesses += w.tally.flows[flowKey{f.GetId(), v.Index}]
			row.values["accesses"] = grouped(row.accesses)
			now[f.GetId()] = row
		}
		before = now
	}
	m["maps"], m["flows"], m["flows_left"] = ends(maps), ends(flows), count(total-uint64(len(flows)))
}

// describeLosses says which reports the log knows to be missing.
func describeLosses(m fields, s *Summary) {
	var losses []scope
	for _, l := range s.Losses[:min(len(s.Losses), maxListed)] {
		losses = append(losses, fields{"producer": show(l.Producer, ""), "asked": l.Asked, "gaps": count(l.Gaps), "silences": count(l.Silences)})
	}
	m["losses"], m["losses_left"] = ends(losses), count(uint64(len(s.Losses)-len(losses)))
}

// flowRow is a flow as it is from one version of the map on.
type flowRow struct {
	flow     *daybookv1.Flow
	values   fields
	accesses uint64
}

// asked tells whether an id is among those that a side of the question stands for.
func asked(ids []string, id string) bool { return ids == nil || slices.Contains(ids, id) }

func describeFlow(f *daybookv1.Flow, v *domains.Version) fields {
	out := fields{"id": show(f.GetId(), ""), "from": show(f.GetFrom(), ""), "to": show(f.GetTo(), ""), "actions": show(strings.Join(f.GetActions(), ", "), ""),
		"purpose": show(f.GetPurpose(), "“”"), "ticket": show(f.GetTicket(), ""), "approver": show(f.GetApprover(), ""),
		"least_proof": domains.Word(f.GetLeastProof()), "needs_approval": f.GetNeedsApproval(), "map": strconv.FormatUint(v.Index, 10)}
	if f.GetNotBeforeNs() != 0 {
		out["valid_from"] = human(utc(f.GetNotBeforeNs()))
	}
	if f.GetNotAfterNs() != 0 {
		out["valid_until"] = human(utc(f.GetNotAfterNs()))
	}
	return out
}

// describeAccesses counts the accesses and lists them.
func (w *Writer) describeAccesses(m fields) {
	t := &w.tally
	var verdicts, pairs, lists []scope
	for _, v := range w.words.Verdicts {
		if n := t.verdicts[v.Name]; n > 0 {
			verdicts = append(verdicts, fields{"name": v.Name, "about": v.About, "accesses": grouped(n)})
		}
	}
	for i, k := range t.sortedPairs() {
		if i == maxListed {
			break
		}
		p := t.pairs[k]
		pairs = append(pairs, fields{"source": show(k.source, ""), "target": show(k.target, ""),
			"accesses": grouped(p.accesses), "unauthorized": grouped(p.unauthorized), "denied": grouped(p.denied)})
	}
	for _, l := range w.words.Lists {
		of := t.lists[l.ID]
		lists = append(lists, fields{"id": l.ID, "title": l.Title, "about": l.About,
			"total": count(of.total), "left": of.left(), "shown": count(uint64(len(of.entries))), "entries": ends(of.entries)})
	}
	m["verdicts"], m["pairs"], m["lists"] = ends(verdicts), ends(pairs), ends(lists)
	m["pairs_left"] = count(uint64(len(t.pairs) - len(pairs)))
}

// ends marks the first and the last element of a list.
func ends(l []scope) []scope {
	for i := range l {
		f := l[i].(fields)
		f["first_of"], f["last_of"] = i == 0, i == len(l)-1
	}
	return l
}
