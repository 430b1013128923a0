package main

import "testing"

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		want   spread
		text   string
	}{
		{"none", nil, spread{}, "0.00"},
		{"one", []float64{1.5}, spread{1.5, 1.5, 1.5}, "1.50"},
		{"odd", []float64{3, 1, 2}, spread{2, 1, 3}, "2.00 (1.00-3.00)"},
		{"even", []float64{4, 1, 2, 3}, spread{2.5, 1, 4}, "2.50 (1.00-4.00)"},
		{"alike once rounded", []float64{1.001, 1.002, 1.003}, spread{1.002, 1.001, 1.003}, "1.00"},
		{"outlier", []float64{1.2, 1.2, 9, 1.2, 1.2}, spread{1.2, 1.2, 9}, "1.20 (1.20-9.00)"},
	} {
		got := spreadOf(test.values)
		if got != test.want || got.text(hundredths) != test.text {
			t.Errorf("%s: got %v, %q, want %v, %q", test.name, got, got.text(hundredths), test.want, test.text)
		}
	}
}

func TestMedianLeavesItsValues(t *testing.T) {
	values := []float64{3, 1, 2}
	if median(values) != 2 || values[0] != 3 {
		t.Errorf("got %v of %v", median(values), values)
	}
}

func TestOver(t *testing.T) {
	if over(3, 2) != 1.5 || over(3, 0) != 0 || maxOf(nil) != 0 {
		t.Error("a ratio to nothing must be 0")
	}
}

func TestThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{0.1234: "0.12", 9.994: "9.99", 13.46: "13.5", 179.7: "180"} {
		if got := threeDigits(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
