package release

import (
	"errors"
	"testing"
)

func TestValidateLimit(t *testing.T) {
	for r, ok := range map[Rate]bool{0: true, 1: false, MinLimit - 1: false, MinLimit: true, 1 << 40: true, -1: false} {
		if err := ValidateLimit(r); (err == nil) != ok || !ok && !errors.Is(err, ErrInvalid) {
			t.Errorf("%d: %v", int64(r), err)
		}
	}
}
