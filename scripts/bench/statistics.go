package main

import (
	"fmt"
	"slices"
)

// spread is the median of some runs, and the least and most of them.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf is the spread of values; all zero if there are none.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	return spread{Median: median(values), Min: slices.Min(values), Max: slices.Max(values)}
}

// text is the median with what it lies between, where that reads differently.
func (s spread) text(format func(float64) string) string {
	least, most := format(s.Min), format(s.Max)
	if least == most {
		return format(s.Median)
	}
	return fmt.Sprintf("%s (%s-%s)", format(s.Median), least, most)
}

// median is the middle value, or the mean of the middle two; 0 of none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func maxOf(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Max(values)
}

// over is a/b; 0 where there is nothing to divide by.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
