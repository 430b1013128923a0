package release

import "fmt"

// MinLimit is the least that a transfer limit may be, in bytes a second. With a
// slice of 16 KiB at a time for each of a dozen neighbours, less than half of it
// would leave some without anything for longer than connections are believed in.
const MinLimit Rate = 64 << 10

// ValidateLimit refuses limits that no transfer gets along with; 0 is none.
func ValidateLimit(r Rate) error {
	if r != 0 && r < MinLimit {
		return fmt.Errorf("%w limit %s: want %s or more, or 0 for no limit", ErrInvalid, r, MinLimit)
	}
	return nil
}
