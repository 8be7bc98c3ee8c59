package soak_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/daybook-ledger/daybook/client/soak"
)

func TestSlopeOfALine(t *testing.T) {
	for _, want := range []float64{0, 1, -2.5, 1e6} {
		var xs, ys []float64
		for i := range 2000 {
			xs, ys = append(xs, float64(i)/100), append(ys, 7+want*float64(i)/100)
		}
		if got, ok := soak.Slope(xs, ys); !ok || math.Abs(got-want) > 1e-6*(1+math.Abs(want)) {
			t.Errorf("slope %v, %t, want %v", got, ok, want)
		}
	}
}

// TestSlopeIgnoresOutliers: a saw of collections and a tenth of wild points do
// not move it.
func TestSlopeIgnoresOutliers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var xs, ys []float64
	for i := range 300 {
		x := float64(i) / 60
		y := 500 + 3*x + float64(i%7)
		if r.IntN(10) == 0 {
			y += 400
		}
		xs, ys = append(xs, x), append(ys, y)
	}
	if got, ok := soak.Slope(xs, ys); !ok || math.Abs(got-3) > 0.6 {
		t.Errorf("slope %v, want 3", got)
	}
}

func TestSlopeOfTooLittle(t *testing.T) {
	nan := math.NaN()
	for name, p := range map[string][2][]float64{
		"nothing":  {},
		"four":     {{1, 2, 3, 4}, {1, 2, 3, 4}},
		"one x":    {{1, 1, 1, 1, 1, 1}, {1, 2, 3, 4, 5, 6}},
		"unknowns": {{1, 2, 3, 4, 5, 6}, {1, nan, 3, nan, 5, 6}},
	} {
		if got, ok := soak.Slope(p[0], p[1]); ok {
			t.Errorf("%s: slope %v", name, got)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{4, 1, 3}, 3}, {[]float64{4, 1, 2, 3}, 2.5}} {
		if got := soak.Median(c.v); got != c.want {
			t.Errorf("median of %v is %v", c.v, got)
		}
	}
	if !math.IsNaN(soak.Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestSparkline(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		v     []float64
		width int
		want  string
	}{
		{nil, 8, ""},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8}, 8, "_.,-=+*#"},
		{[]float64{1, 1, 8, 8}, 2, "_#"},
		{[]float64{5, 5, 5}, 8, "==="},
		{[]float64{1, nan, 8}, 8, "_ #"},
		{[]float64{nan}, 8, " "},
	} {
		if got := soak.Sparkline(c.v, c.width); got != c.want {
			t.Errorf("%v in %d: %q, want %q", c.v, c.width, got, c.want)
		}
	}
}
