package release

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestExpr(t *testing.T) {
	labels := Labels{"role": "web", "zone": "a", "rack": "r12", "empty": "", "name": "not-me", "image": "team/app"}
	tests := []struct {
		expr  Expr
		valid bool
		match bool // of host web-07 with these labels
	}{
		{"role=web", true, true},
		{"role=db", true, false},
		{"role=we", true, false},
		{"role=w*", true, true},
		{"role=we?", true, true},
		{"role=[v-x]eb", true, true},
		{"role=[^v-x]eb", true, false},
		{"role=*", true, true},
		{"empty=*", true, true},
		{"role!=web", true, false},
		{"role!=db", true, true},
		{"role!=w*", true, false},
		{"absent=*", true, false},
		{"absent!=*", true, true},
		{"absent!=x", true, true},
		{"name=web-0*", true, true},
		{"name=web-07", true, true},
		{"name=not-me", true, false},
		{"name!=web-07", true, false},
		{"image=*", true, false}, // a star stops at a slash
		{"image=*/*", true, true},
		{"role=web,zone=a", true, true},
		{"role=web,zone!=b", true, true},
		{"role=web,zone!=a", true, false},
		{"role=db,zone=a", true, false},
		{" role=web , zone=a ", true, true},
		{"role=a=b", true, false},
		{`role=\web`, true, true},
		{"", false, false},
		{"role", false, false},
		{"role=", false, false},
		{"role!=", false, false},
		{"=web", false, false},
		{"!=web", false, false},
		{"role==web", false, false},
		{"role!==db", false, false},
		{"role =web", false, false},
		{"role!!=web", false, false},
		{"ro/le=web", false, false},
		{"role=web,", false, false},
		{",role=web", false, false},
		{"role=[", false, false},
		{"role!=[", false, false},
		{"role=[a", false, false},
		{`role=web\`, false, false},
		{"role=db,zone=[", false, false},
		{Expr("role=" + strings.Repeat("w", MaxExprLen-5)), true, false},
		{Expr("role=" + strings.Repeat("w", MaxExprLen-4)), false, false},
	}
	for _, tt := range tests {
		err := tt.expr.Validate()
		if (err == nil) != tt.valid || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%.60q: error %v, want valid: %t", tt.expr, err, tt.valid)
		}
		if got := tt.expr.Match("web-07", labels); got != tt.match {
			t.Errorf("%.60q: match %t, want %t", tt.expr, got, tt.match)
		}
	}
}

func someTerm() *rapid.Generator[Expr] {
	return rapid.Map(rapid.StringMatching(`(role|zone|rack|name)!?=(a|b|c|a\*|\?|\*)`), func(s string) Expr { return Expr(s) })
}

func someLabels() *rapid.Generator[Labels] {
	return rapid.Map(rapid.MapOf(rapid.SampledFrom([]string{"role", "zone", "rack"}), rapid.SampledFrom([]string{"a", "b", "c", "ab", ""})),
		func(m map[string]string) Labels { return m })
}

func TestExprLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		labels, name := someLabels().Draw(t, "labels"), rapid.SampledFrom([]string{"a", "b", "ab"}).Draw(t, "name")
		a, b := someTerm().Draw(t, "a"), someTerm().Draw(t, "b")
		if got := (a + "," + b).Match(name, labels); got != (a.Match(name, labels) && b.Match(name, labels)) {
			t.Errorf("%s,%s: %t; comma is not and", a, b, got)
		}
		key, value, _ := strings.Cut(strings.Replace(string(a), "!", "", 1), "=")
		is, isNot := Expr(key+"="+value), Expr(key+"!="+value)
		if is.Match(name, labels) == isNot.Match(name, labels) {
			t.Errorf("%s and %s are not opposites", is, isNot)
		}
		s := Selector{Targets: []Expr{a, b}, Excludes: []Expr{isNot}}
		want := (a.Match(name, labels) || b.Match(name, labels)) && is.Match(name, labels)
		if s.Validate() != nil || s.Match(name, labels) != want {
			t.Errorf("%s: %t, error %v", s, !want, s.Validate())
		}
	})
}

// What is not valid must match nothing, whatever else stands in it.
func FuzzExpr(f *testing.F) {
	for _, s := range []string{"role=web", "role=web,zone!=b", "name=web-0*", "role=[", "role!=[", "role==x", ",", "a=\\"} {
		f.Add(s, "web-01", "web")
	}
	f.Fuzz(func(t *testing.T, s, name, role string) {
		e := Expr(s)
		if err := e.Validate(); err != nil && len(e) <= MaxExprLen && e.Match(name, Labels{"role": role}) {
			t.Errorf("%q matches, though %v", s, err)
		}
	})
}

func TestSelector(t *testing.T) {
	none := Selector{}
	if none.Match("web-1", nil) {
		t.Error("a selector without targets matches")
	}
	tests := []struct {
		s    Selector
		want string // as a string; empty: it is refused
	}{
		{Selector{Targets: []Expr{"role=web"}}, "role=web"},
		{Selector{Targets: []Expr{"role=web", "role=db"}, Excludes: []Expr{"zone=a", "zone=b"}}, "role=web or role=db not zone=a not zone=b"},
		{Selector{Targets: []Expr{"a=1", "a=2", "a=3", "a=4", "a=5"}}, "a=1 or a=2 or a=3 or 2 more"},
		{Selector{Targets: []Expr{"a=1"}, Excludes: []Expr{"a=1", "a=2", "a=3", "a=4"}}, "a=1 not a=1 not a=2 not a=3 nor 1 more"},
		{Selector{Targets: []Expr{"role=web", "bad"}}, ""},
		{Selector{Targets: []Expr{"role=web"}, Excludes: []Expr{"bad"}}, ""},
		{Selector{Targets: slices.Repeat([]Expr{"a=1"}, MaxExprs+1)}, ""},
	}
	for _, tt := range tests {
		if err := tt.s.Validate(); (err == nil) != (tt.want != "") || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error %v", tt.s, err)
		}
		if got := tt.s.String(); tt.want != "" && got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
