package seeder

import (
	"crypto/sha256"
	"errors"
	"slices"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

// What signatures are worth is for hosts to say, by the keys that their own
// configs trust. The seeder keeps them beside the release, whose document stays
// the very bytes that they are over.

// loadSignatures sets a damaged document aside: hosts refuse a release without
// signatures, and whoever pushes the build again, or signs it, makes that good.
func (c *catalog) loadSignatures(name string) (signatures []string, err error) {
	err = c.get(kindSignatures, name, &signatures)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if bad := control.ValidateSignatures(signatures); err == nil && bad != nil {
		err = &docError{kindSignatures, name, bad}
	}
	if err != nil {
		return nil, c.setAside(err)
	}
	return signatures, nil
}

// signed is a signature and who sent it. Lists of them are oldest first.
type signed struct {
	text string
	by   string // by certificate; empty: sent to a seeder that did not write that down
}

// join adds to the signatures that a release has those that somebody sends. Where they
// are too many, the oldest goes of whoever has the most: what they are worth is not for
// the seeder to say, not even whose they are, since anybody can put any key's ID into
// one. So nobody's junk keeps another's signature out, nor pushes it out: hosts trust
// half as many keys as there is room for.
func join(have []signed, more []string, by string) []signed {
	all := slices.Clone(have)
	for _, text := range more {
		if !slices.ContainsFunc(all, func(s signed) bool { return s.text == text }) {
			all = append(all, signed{text, by})
		}
	}
	for len(all) > control.MaxSignatures {
		count, most := map[string]int{}, ""
		for _, s := range all {
			if count[s.by]++; count[s.by] > count[most] {
				most = s.by
			}
		}
		oldest := slices.IndexFunc(all, func(s signed) bool { return s.by == most })
		all = slices.Delete(all, oldest, oldest+1)
	}
	return all
}

// signers are who sent a release's signatures, by the SHA-256 of these: the document
// signers/APP@VERSION. It stands beside the signatures, which older seeders read too.
type signers map[release.Digest]string

func (c *catalog) loadSigned(r *control.Release) (all []signed, err error) {
	var by signers
	if err := c.get(kindSigners, r.Ref().String(), &by); err != nil && !errors.Is(err, store.ErrNotFound) {
		if err := c.setAside(err); err != nil {
			return nil, err
		}
		by = nil // nobody's in particular
	}
	for _, text := range r.Signatures {
		all = append(all, signed{text, by[sha256.Sum256([]byte(text))]})
	}
	return all, nil
}

// putSigned writes a release's signatures. It also clears away those of a release of
// that name that was never finished.
func (c *catalog) putSigned(ref release.Ref, all []signed) (texts []string, err error) {
	name := ref.String()
	if len(all) == 0 {
		return nil, errors.Join(c.dir.DeleteDoc(kindSignatures, name), c.dir.DeleteDoc(kindSigners, name))
	}
	by := signers{}
	for _, s := range all {
		texts = append(texts, s.text)
		by[sha256.Sum256([]byte(s.text))] = s.by
	}
	// The signers first: one too many does no harm.
	if err := c.put(kindSigners, name, by); err != nil {
		return nil, err
	}
	return texts, c.put(kindSignatures, name, texts)
}

// sign adds to a release's signatures those that it does not have.
func (c *catalog) sign(ref release.Ref, signatures []string, by string) (control.Release, error) {
	if err := control.ValidateSignatures(signatures); err != nil {
		return control.Release{}, err
	}
	r := c.find(ref)
	if r == nil {
		return control.Release{}, notFound("no release %s", ref)
	}
	have, err := c.loadSigned(r)
	if err != nil {
		return control.Release{}, err
	}
	all := join(have, signatures, by)
	texts, err := c.putSigned(ref, all)
	if err != nil {
		return control.Release{}, err
	}
	if dropped := slices.DeleteFunc(have, func(s signed) bool { return slices.Contains(all, s) }); len(dropped) > 0 {
		c.log.Warn("signatures made room for others", zap.Stringer("release", ref), zap.String("who", dropped[0].by), zap.Int("dropped", len(dropped)))
	}
	r.Signatures = texts
	c.log.Info("release signed", zap.Stringer("release", ref), zap.String("who", by), zap.Int("signatures", len(texts)))
	return *r, nil
}
