package hook

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"crow/internal/release"
)

// Facts are what a hook is told about its release. The names are a contract
// with other people's scripts: fields are only ever added.
type Facts struct {
	App             string `json:"CROW_APP"`
	Version         string `json:"CROW_VERSION"`
	ReleaseDir      string `json:"CROW_RELEASE_DIR"`      // absolute path of the staged release
	Artifact        string `json:"CROW_ARTIFACT"`         // absolute path of the artifact file
	PreviousVersion string `json:"CROW_PREVIOUS_VERSION"` // the last release whose hook succeeded; empty: none
	PreviousDir     string `json:"CROW_PREVIOUS_DIR"`     // absolute path; empty: none, or no longer there
	Deploy          string `json:"CROW_DEPLOY"`           // id
	Host            string `json:"CROW_HOST"`             // name of this host
}

// Env gives the facts as environment variables; those without a value are set
// and empty.
func (f Facts) Env() []string {
	return []string{
		"CROW_APP=" + f.App,
		"CROW_VERSION=" + f.Version,
		"CROW_RELEASE_DIR=" + f.ReleaseDir,
		"CROW_ARTIFACT=" + f.Artifact,
		"CROW_PREVIOUS_VERSION=" + f.PreviousVersion,
		"CROW_PREVIOUS_DIR=" + f.PreviousDir,
		"CROW_DEPLOY=" + f.Deploy,
		"CROW_HOST=" + f.Host,
	}
}

// Validate refuses values that a script could take for more than one, or not
// get whole: of more than one line, with other control characters, not UTF-8.
// The error is release.ErrInvalid.
func (f Facts) Validate() error {
	for _, v := range f.Env() {
		if !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
			key, value, _ := strings.Cut(v, "=")
			return fmt.Errorf("%w value of %s: %q has control characters or is not UTF-8", release.ErrInvalid, key, value)
		}
	}
	return nil
}

// JSON gives the facts as one JSON object on one line, under the names that
// they have in the environment.
func (f Facts) JSON() []byte {
	b, err := json.Marshal(f)
	if err != nil { // cannot be: strings always encode
		return nil
	}
	return append(b, '\n')
}
