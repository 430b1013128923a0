package control

import "net/http"

// Code is the kind of a failed call, for who must act on it.
type Code string

// The codes and the HTTP statuses that carry them.
const (
	CodeUsage    Code = "usage"        // 400: the request is wrong
	CodeNotFound Code = "not_found"    // 404: no such release, deploy or artifact
	CodeUnknown  Code = "unknown_host" // 404: the host must say hello first
	CodeNoHost   Code = "no_host"      // 409: the target matches no host
	CodeRefused  Code = "refused"      // 409: digest or version conflict
	CodeTaken    Code = "name_taken"   // 409: another live host has that name
	CodeTooLarge Code = "too_large"    // 413
	CodeFull     Code = "disk_full"    // 507
	CodeInternal Code = "internal"     // 500: the seeder's own fault
)

var statuses = map[Code]int{
	CodeUsage: http.StatusBadRequest, CodeNotFound: http.StatusNotFound, CodeUnknown: http.StatusNotFound,
	CodeNoHost: http.StatusConflict, CodeRefused: http.StatusConflict, CodeTaken: http.StatusConflict,
	CodeTooLarge: http.StatusRequestEntityTooLarge, CodeFull: http.StatusInsufficientStorage,
	CodeInternal: http.StatusInternalServerError,
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
