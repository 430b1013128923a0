package tracker

import (
	"encoding/json"
	"errors"
	"net/http"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/transport"
)

// PathTorrents takes registrations on a tracker that runs alone: PUT
// {"infohashes":["64 hex digits"]}, answered 204. Several seeders may register
// torrents with one tracker: a call adds and renews, it never removes.
const PathTorrents = "/v1/torrents"

// MaxRegistration is how many torrents one call may register, and how many a
// tracker that runs alone holds: some 25 MiB of leases and empty swarms.
const MaxRegistration = 10_000

// maxRegistrationLen bounds a call's body, in bytes.
const maxRegistrationLen = MaxRegistration*70 + 1024

// registration is the body of a call.
type registration struct {
	InfoHashes []release.Digest `json:"infohashes"`
}

func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	if id, ok := transport.IdentityOf(r); ok && id.Role != transport.RoleSeeder {
		s.fail(w, &control.Error{Code: control.CodeForbidden, Message: "registration: want a certificate of the role seeder, not " + string(id.Role)})
		return
	}
	if err := control.CheckJSON(r); err != nil {
		s.fail(w, err)
		return
	}
	var reg registration
	body := http.MaxBytesReader(w, r.Body, maxRegistrationLen)
	if err := json.NewDecoder(body).Decode(&reg); err != nil {
		s.fail(w, decodeError(err))
		return
	}
	if err := s.leases.renew(reg.InfoHashes); err != nil {
		s.fail(w, &control.Error{Code: control.CodeTooLarge, Message: err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func decodeError(err error) *control.Error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &control.Error{Code: control.CodeTooLarge, Message: "registration: " + err.Error()}
	}
	return &control.Error{Code: control.CodeUsage, Message: "registration: " + err.Error()}
}

// fail answers a refused call. Anybody can make one, so that it is no news.
func (s *Server) fail(w http.ResponseWriter, answer *control.Error) {
	s.log.Debug("registration was refused", zap.Error(answer))
	control.WriteError(w, answer)
}
