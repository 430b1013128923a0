package release

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Labels are a host's own words for itself, such as role, zone and rack.
type Labels map[string]string

// Limits of target expressions: they are stored with each deploy and tried on
// each host.
const (
	MaxExprs   = 10_000
	MaxExprLen = 1024
)

// nameKey is the key that stands for the host's name in an expression.
const nameKey = "name"

// Expr is one target expression, such as role=web,zone!=b: conditions on
// labels, or on the host's name by the key "name", that must all hold. Values
// are globs as path.Match has them.
type Expr string

// Validate checks the expression's form.
func (e Expr) Validate() error {
	if len(e) > MaxExprLen {
		return fmt.Errorf("%w target %.40q...: %d bytes, at most %d are allowed", ErrInvalid, string(e), len(e), MaxExprLen)
	}
	for term := range strings.SplitSeq(string(e), ",") {
		key, glob, _, err := parseTerm(term)
		if err != nil {
			return fmt.Errorf("%w target %q: %w", ErrInvalid, string(e), err)
		}
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("%w target %q: bad pattern for %s: %s", ErrInvalid, string(e), key, glob)
		}
	}
	return nil
}

// Match reports whether a host of that name and those labels meets all of the
// expression's conditions. A label that the host lacks equals nothing, so
// zone!=b holds for a host without a zone.
func (e Expr) Match(name string, labels Labels) bool {
	for term := range strings.SplitSeq(string(e), ",") {
		key, glob, negated, err := parseTerm(term)
		if err != nil {
			return false
		}
		value, has := labels[key]
		if key == nameKey {
			value, has = name, true
		}
		matched, err := path.Match(glob, value)
		if err != nil || (has && matched) == negated {
			return false
		}
	}
	return true
}

func parseTerm(term string) (key, glob string, negated bool, err error) {
	key, glob, ok := strings.Cut(strings.TrimSpace(term), "=")
	if negated = strings.HasSuffix(key, "!"); negated {
		key = key[:len(key)-1]
	}
	switch {
	case !ok:
		return "", "", false, fmt.Errorf("%q is not key=value or key!=value", term)
	case ValidateLabel(key) != nil:
		return "", "", false, fmt.Errorf("%q is not a label's name", key)
	case glob == "":
		return "", "", false, fmt.Errorf("no value for %q", key)
	case glob[0] == '=': // would match nothing, and as an exclusion spare nobody
		return "", "", false, fmt.Errorf("%q has one = too many", term)
	}
	return key, glob, negated, nil
}

// ValidateLabel checks a label's name, which follows the rule for apps.
func ValidateLabel(key string) error { return validateName("label", key, MaxAppLen, "._-") }

// Selector says which hosts a deploy is for.
type Selector struct {
	Targets  []Expr `json:"targets"`            // a host must match one of these
	Excludes []Expr `json:"excludes,omitempty"` // and none of these
}

// Validate checks the number of expressions and each one's form.
func (s Selector) Validate() error {
	if n := len(s.Targets) + len(s.Excludes); n > MaxExprs {
		return fmt.Errorf("%w target: %d expressions, at most %d are allowed", ErrInvalid, n, MaxExprs)
	}
	for _, e := range slices.Concat(s.Targets, s.Excludes) {
		if err := e.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Match reports whether the selector is for a host of that name and labels.
func (s Selector) Match(name string, labels Labels) bool {
	matches := func(e Expr) bool { return e.Match(name, labels) }
	return slices.ContainsFunc(s.Targets, matches) && !slices.ContainsFunc(s.Excludes, matches)
}

// String is the selector as flags would give it, shortened to a line.
func (s Selector) String() string {
	const most = 3
	var b strings.Builder
	for i, e := range s.Targets {
		if i == most {
			fmt.Fprintf(&b, " or %d more", len(s.Targets)-most)
			break
		}
		if i > 0 {
			b.WriteString(" or ")
		}
		b.WriteString(string(e))
	}
	for i, e := range s.Excludes {
		if i == most {
			fmt.Fprintf(&b, " nor %d more", len(s.Excludes)-most)
			break
		}
		b.WriteString(" not " + string(e))
	}
	return b.String()
}
