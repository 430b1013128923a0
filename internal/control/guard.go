package control

import (
	"mime"
	"net/http"
)

// contentType is that of all documents of the control API.
const contentType = "application/json"

// Guard keeps from h what a web page of another site has a browser send that
// can reach the API. Programs are let through: they send no Origin.
func Guard(h http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		WriteError(w, &Error{Code: CodeForeign, Message: "request: a web page of another site sent it"})
	}))
	return guard.Handler(h)
}

// CheckJSON refuses a request whose body does not call itself JSON, as nothing
// does that a web page can send without asking first.
func CheckJSON(r *http.Request) *Error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != contentType {
		return &Error{Code: CodeUsage, Message: "request: want Content-Type: " + contentType}
	}
	return nil
}
