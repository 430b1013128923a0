package hook

import "encoding/json"

// Facts are what a hook is told about its release. The names are a contract
// with other people's scripts: fields are only ever added.
type Facts struct {
	App             string `json:"app"`
	Version         string `json:"version"`
	ReleaseDir      string `json:"release_dir"`      // absolute path of the staged release
	Artifact        string `json:"artifact"`         // absolute path of the artifact file
	PreviousVersion string `json:"previous_version"` // the last release whose hook succeeded; empty: none
	PreviousDir     string `json:"previous_dir"`     // absolute path; empty: none, or no longer there
	Deploy          string `json:"deploy"`           // id
	Host            string `json:"host"`             // name of this host
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

// JSON gives the facts as one JSON object on one line.
func (f Facts) JSON() []byte {
	b, err := json.Marshal(f)
	if err != nil { // cannot be: strings always encode
		return nil
	}
	return append(b, '\n')
}
