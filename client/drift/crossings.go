package drift

import "fmt"

// Pair is how often one domain reached another, as the log has it.
type Pair struct {
	// Source and Target as the log has them: domain ids, or names from before a
	// map was in force.
	Source, Target string
	// Count of reports: of each side one, where several report a crossing.
	Count uint64
}

// Crossings are what the log holds.
type Crossings struct {
	// Pairs, in any order; a pair may come more than once.
	Pairs []Pair
	// Name says which part of the log they are from.
	Name string
	// Note says what of the log was not looked at; empty: nothing.
	Note string
}

const unmapped = "?unmapped"

// scanCrossings holds what the log has against the flows.
func (s *scan) scanCrossings() []Difference {
	seen := map[way]uint64{}
	strange := map[string]uint64{}
	for _, p := range s.c.Crossings.Pairs {
		var ids [2]string
		for i, name := range []string{p.Source, p.Target} {
			id, ok := s.d.resolve(name)
			if !ok {
				strange[name] += p.Count
			}
			ids[i] = id
		}
		if ids[0] != "" && ids[1] != "" && ids[0] != ids[1] {
			seen[way{ids[0], ids[1]}] += p.Count
		}
	}
	var out []Difference
	for name, count := range strange {
		detail := reports(count) + " in the log are from or to it, and the map does not know it"
		if name == unmapped {
			detail = reports(count) + " in the log are from or to names that the map did not know"
		}
		out = append(out, Difference{"crossing-unmapped", Medium, "", "", name, detail, "add it to the map, as a domain or as an alias"})
	}
	now := s.c.Now().UnixNano()
	for w, count := range seen {
		j := s.d.judge(w.from, w.to, now)
		if j.why == "" {
			continue
		}
		check := "crossing-undeclared"
		if s.d.forbidden(w.from, w.to) {
			check = "crossing-forbidden"
		}
		out = append(out, Difference{check, j.severity, w.from, w.to, w.from + " to " + w.to, reports(count) + " in the log, and " + j.why,
			"see `daybook list --source " + w.from + " --target " + w.to + "`; stop it at the gateway, or declare and approve the flow"})
	}
	for _, f := range s.c.Map.GetFlows() {
		valid := f.GetNotBeforeNs() <= now && (f.GetNotAfterNs() == 0 || now < f.GetNotAfterNs())
		if valid && seen[way{f.GetFrom(), f.GetTo()}] == 0 {
			out = append(out, Difference{"crossing-unused", Low, f.GetFrom(), f.GetTo(), "flow " + f.GetId(),
				"it is declared, and the log has no report of it", "see that its producers report; remove the flow where nobody needs it"})
		}
	}
	s.scanned("crossings", s.c.Crossings.Name, len(s.c.Crossings.Pairs), s.c.Crossings.Note)
	return out
}

// reports counts entries: a crossing that both sides report has two.
func reports(n uint64) string {
	if n == 1 {
		return "1 report"
	}
	return fmt.Sprintf("%d reports", n)
}
