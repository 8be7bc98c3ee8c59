package domains

import "fmt"

// maxHints bounds how often Parse looks for what was meant: each time costs a
// scan of all names.
const maxHints = 100

// hint returns `; did you mean "x"?` for the candidate that is nearest to a
// word, or otherwise.
func (r *reader) hint(s string, candidates []string, otherwise string) string {
	if r.hints == 0 || len(s) > 128 {
		return otherwise
	}
	r.hints--
	if near := Nearest(s, candidates); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return otherwise
}

// Nearest returns the first candidate of the smallest edit distance to s, where that
// is at most 3 and at most a third of the bytes of s, else "".
func Nearest(s string, candidates []string) string {
	best, most := "", max(1, min(3, len(s)/3))
	for _, c := range candidates {
		if d := distance(s, c, most); d <= most && (best == "" || d < most) {
			best, most = c, d
		}
	}
	return best
}

// distance returns the edit distance of two short words, a swap of neighbours
// counting one; more than most where it is more.
func distance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > most {
			return most + 1
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
