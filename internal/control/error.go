package control

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// Code is the kind of a failed call, for who must act on it.
type Code string

// The codes and the HTTP statuses that carry them.
const (
	CodeUsage     Code = "usage"        // 400: the request is wrong
	CodeForeign   Code = "foreign"      // 403: a web page of another site sent it
	CodeForbidden Code = "forbidden"    // 403: the caller's certificate does not allow it
	CodeNotFound  Code = "not_found"    // 404: no such release, deploy or artifact
	CodeUnknown   Code = "unknown_host" // 404: the host must say hello first
	CodeNoHost    Code = "no_host"      // 409: the target matches no host
	CodeRefused   Code = "refused"      // 409: digest or version conflict
	CodeStale     Code = "stale"        // 409: another release has the manifest's counter
	CodeEnded     Code = "ended"        // 409: the deploy has ended
	CodeTaken     Code = "name_taken"   // 409: another live host has that name
	CodeTooLarge  Code = "too_large"    // 413
	CodeDamaged   Code = "damaged"      // 500: the seeder's copy of an artifact is not what it was
	CodeFull      Code = "disk_full"    // 507
	CodeInternal  Code = "internal"     // 500: the seeder's own fault
)

var statuses = map[Code]int{
	CodeUsage: http.StatusBadRequest, CodeForeign: http.StatusForbidden, CodeForbidden: http.StatusForbidden,
	CodeNotFound: http.StatusNotFound, CodeUnknown: http.StatusNotFound,
	CodeNoHost: http.StatusConflict, CodeRefused: http.StatusConflict, CodeStale: http.StatusConflict, CodeEnded: http.StatusConflict, CodeTaken: http.StatusConflict,
	CodeTooLarge: http.StatusRequestEntityTooLarge, CodeFull: http.StatusInsufficientStorage,
	CodeDamaged: http.StatusInternalServerError, CodeInternal: http.StatusInternalServerError,
}

// Error is a failed call as the seeder words it. On the wire it is the value of
// "error" in a JSON object.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`        // what, where, why; one line, lower case
	Hint    string `json:"hint,omitempty"` // the next command
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Status is the HTTP status that carries the error.
func (e *Error) Status() int {
	if s, ok := statuses[e.Code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// envelope is how an error travels.
type envelope struct {
	Error *Error `json:"error"`
}

// WriteError answers a call with an error.
func WriteError(w http.ResponseWriter, e *Error) {
	b, err := json.Marshal(envelope{e})
	if err != nil { // it has strings only
		http.Error(w, e.Message, e.Status())
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(e.Status())
	_, _ = w.Write(b) // a client that hung up asks again
}

// ReadError returns the error that a call was answered with, or nil if the
// answer is none of WriteError's. It reads the body, and leaves it open.
func ReadError(res *http.Response) *Error {
	var answer envelope
	err := json.NewDecoder(io.LimitReader(res.Body, MaxBodyLen)).Decode(&answer)
	if err != nil || answer.Error == nil || answer.Error.Code == "" {
		return nil
	}
	drain(res)
	return answer.Error
}

// maxRest is how much of an answer is read behind its document, in bytes: the
// end of a body that was sent in chunks has to be, or its connection cannot be
// used again. More than that no seeder sends.
const maxRest = 4 << 10

func drain(res *http.Response) { _, _ = io.CopyN(io.Discard, res.Body, maxRest) }
