package seeder

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

// What signatures are worth is for hosts to say, by the keys that their own
// configs trust. The seeder keeps them beside the release, whose document stays
// the very bytes that they are over.

func (c *catalog) loadSignatures(name string) (signatures []string, err error) {
	b, err := c.dir.GetDoc(kindSignatures, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &signatures); err != nil {
		return nil, fmt.Errorf("decode signatures: %w", err)
	}
	return signatures, control.ValidateSignatures(signatures)
}

// putSignatures also clears away those of a release of that name that was never
// finished.
func (c *catalog) putSignatures(r control.Release) error {
	if len(r.Signatures) == 0 {
		return c.dir.DeleteDoc(kindSignatures, r.Ref().String())
	}
	return c.put(kindSignatures, r.Ref().String(), r.Signatures)
}

// sign adds to a release's signatures those that it does not have.
func (c *catalog) sign(ref release.Ref, signatures []string) (control.Release, error) {
	r := c.find(ref)
	if r == nil {
		return control.Release{}, notFound("no release %s", ref)
	}
	more := *r
	more.Signatures = slices.Clone(r.Signatures)
	for _, s := range signatures {
		if !slices.Contains(more.Signatures, s) {
			more.Signatures = append(more.Signatures, s)
		}
	}
	if err := control.ValidateSignatures(more.Signatures); err != nil {
		return control.Release{}, err
	}
	if err := c.putSignatures(more); err != nil {
		return control.Release{}, err
	}
	*r = more
	c.log.Info("release signed", zap.Stringer("release", ref), zap.Int("signatures", len(r.Signatures)))
	return more, nil
}
