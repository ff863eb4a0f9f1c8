package fake

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// answer holds an answer back until it is known what becomes of it.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(data []byte) (int, error) { return a.body.Write(data) }

func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// fill makes it the fault's answer, in place of the true one.
func (a *answer) fill(fault Fault) {
	a.status = fault.Status
	a.body.WriteString(fault.Body)
	switch {
	case strings.HasPrefix(fault.Body, "<"):
		a.header.Set("Content-Type", "text/html; charset=utf-8")
	case fault.Body != "":
		a.header.Set("Content-Type", "application/json; charset=utf-8")
	}
	maps.Copy(a.header, fault.Header)
}

func (a *answer) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.code())
	_, _ = w.Write(a.body.Bytes()) // the client has gone if this fails
}

// sendHalf sends half of the body as if it were the beginning of all of it.
func (a *answer) sendHalf(w http.ResponseWriter) {
	if a.body.Len() < 2 {
		return // there is no half: the answer is lost
	}
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	w.WriteHeader(a.code())
	_, _ = w.Write(a.body.Bytes()[:a.body.Len()/2])
	_ = http.NewResponseController(w).Flush() // or the client would see no answer at all
}
