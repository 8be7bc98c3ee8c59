package soak

import (
	"math"
	"slices"
	"strings"
)

// maxPoints bounds the points a slope is computed of: it looks at all pairs.
const maxPoints = 120

// Slope returns the median of the slopes between all pairs of points with
// different x (Theil-Sen): half of the points but for a few may be outliers, such
// as a collection that has just been made, and it does not move. ok is false
// where there are fewer than five points or no two of different x. Points whose x
// or y is NaN are left out.
func Slope(xs, ys []float64) (slope float64, ok bool) {
	xs, ys = thin(xs, ys)
	if len(xs) < 5 {
		return 0, false
	}
	var slopes []float64
	for i := range xs {
		for j := range i {
			if dx := xs[i] - xs[j]; dx != 0 {
				slopes = append(slopes, (ys[i]-ys[j])/dx)
			}
		}
	}
	if len(slopes) == 0 {
		return 0, false
	}
	return Median(slopes), true
}

// thin leaves NaN out, and averages neighbours where there are over maxPoints.
func thin(xs, ys []float64) (x, y []float64) {
	for i := range min(len(xs), len(ys)) {
		if !math.IsNaN(xs[i]) && !math.IsNaN(ys[i]) {
			x, y = append(x, xs[i]), append(y, ys[i])
		}
	}
	if len(x) <= maxPoints {
		return x, y
	}
	n := (len(x) + maxPoints - 1) / maxPoints
	out := 0
	for i := 0; i < len(x); i += n {
		end := min(i+n, len(x))
		x[out], y[out] = mean(x[i:end]), mean(y[i:end])
		out++
	}
	return x[:out], y[:out]
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// Median returns the middle value, of an even number the mean of the two; NaN of
// none. It does not change v.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// sparks are the heights of a sparkline, lowest first.
const sparks = "_.,-=+*#"

// Sparkline draws the values in at most width characters of ASCII, the lowest as
// `_` and the highest as `#`; what is missing is a blank. Values that are all the
// same are drawn in the middle.
func Sparkline(v []float64, width int) string {
	groups := buckets(len(v), width)
	heights := make([]float64, len(groups))
	lo, hi := math.Inf(1), math.Inf(-1)
	for i, g := range groups {
		heights[i] = mean(known(v[g[0]:g[1]]))
		if !math.IsNaN(heights[i]) {
			lo, hi = min(lo, heights[i]), max(hi, heights[i])
		}
	}
	var line strings.Builder
	for _, h := range heights {
		switch {
		case math.IsNaN(h):
			line.WriteByte(' ')
		case hi == lo:
			line.WriteByte(sparks[len(sparks)/2])
		default:
			line.WriteByte(sparks[int((h-lo)/(hi-lo)*float64(len(sparks)-1)+0.5)])
		}
	}
	return line.String()
}

// known leaves NaN out.
func known(v []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(v), math.IsNaN)
}

// buckets divides n things into at most k contiguous groups [lo, hi), of sizes
// that differ by one at most.
func buckets(n, k int) [][2]int {
	k = min(n, k)
	out := make([][2]int, k)
	for i := range out {
		out[i] = [2]int{i * n / k, (i + 1) * n / k}
	}
	return out
}
