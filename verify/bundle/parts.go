package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A PartsError says that files are sound parts of one answer, but neither one part
// alone nor all of them once: what they would prove together is nobody's question. It
// is a mistake of whoever brought them, and says nothing against the files.
type PartsError struct {
	Parts   int   // of the answer
	Have    []int // ascending, each once
	Missing []int // ascending
	Twice   []int // there more than once, ascending
}

// Error says which are missing and what to do.
func (e *PartsError) Error() string {
	if len(e.Missing) == 0 {
		return partsAre(e.Twice, "") + " there twice: give each part once"
	}
	return fmt.Sprintf("%s here, %s missing: give all parts together, or one of them alone", partsAre(e.Have, fmt.Sprintf(" of %d", e.Parts)), partsAre(e.Missing, ""))
}

// partsAre says `part 2 is` or `parts 1, 3 are`, with more before the verb.
func partsAre(list []int, more string) string {
	if len(list) == 1 {
		return fmt.Sprintf("part %d%s is", list[0], more)
	}
	var texts []string
	for _, n := range list {
		texts = append(texts, fmt.Sprint(n))
	}
	return fmt.Sprintf("parts %s%s are", strings.Join(texts, ", "), more)
}

// join puts the parts in their order and checks that they are all parts of one
// answer, without a hole between them.
func join(passes []*pass) ([]*pass, error) {
	first := passes[0]
	if len(passes) == 1 {
		return passes, nil // one part is checked by itself
	}
	out := make([]*pass, first.answer.Parts)
	e := &PartsError{Parts: len(out)}
	for _, p := range passes {
		a, b := p.answer, first.answer
		if a.Parts != b.Parts || a.Origin != b.Origin || a.Size != b.Size || !same(a.Close, b.Close) || !same(a.Cut, b.Cut) ||
			p.head.Checkpoint.Root != first.head.Checkpoint.Root || !bytes.Equal(p.question.Document(), first.question.Document()) {
			return nil, errors.New("these are parts of different answers")
		}
		if out[a.Part-1] != nil && !slices.Contains(e.Twice, a.Part) {
			e.Twice = append(e.Twice, a.Part)
		}
		out[a.Part-1] = p
	}
	for i, p := range out {
		if p == nil {
			e.Missing = append(e.Missing, i+1)
		} else {
			e.Have = append(e.Have, i+1)
		}
	}
	if slices.Sort(e.Twice); len(e.Missing)+len(e.Twice) > 0 {
		return nil, e
	}
	for i := 1; i < len(out); i++ {
		if out[i-1].answer.End != out[i].answer.First {
			return nil, fmt.Errorf("part %d ends at entry %d, part %d begins at entry %d", i, out[i-1].answer.End, i+1, out[i].answer.First)
		}
	}
	return out, nil
}

func same(a, b *uint64) bool { return a == b || a != nil && b != nil && *a == *b }
