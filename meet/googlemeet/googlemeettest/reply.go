package googlemeettest

import (
	"encoding/json"
	"net/http"
)

// incoming is a call with its body read.
type incoming struct {
	*http.Request
	body []byte
}

// reply is an answer before it is sent.
type reply struct {
	status int
	doc    any // nil: no body
	header map[string]string
	pretty bool
}

func (out reply) send(w http.ResponseWriter) {
	for name, value := range out.header {
		w.Header().Set(name, value)
	}
	if out.doc != nil {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	}
	w.WriteHeader(out.status)
	if out.doc != nil {
		encoder := json.NewEncoder(w)
		if out.pretty {
			encoder.SetIndent("", " ")
		}
		_ = encoder.Encode(out.doc) // documents are JSON by origin
	}
}

// object is a JSON object.
type object = map[string]any

// apiError is the error body of the Calendar API.
// See https://developers.google.com/workspace/calendar/api/guides/errors.
func apiError(status int, reason, message string) reply {
	failure := object{"code": status, "message": message}
	if reason != "" {
		item := object{"domain": "global", "reason": reason, "message": message}
		if reason == "rateLimitExceeded" || reason == "userRateLimitExceeded" || reason == "quotaExceeded" {
			item["domain"] = "usageLimits"
		}
		failure["errors"] = []any{item}
	}
	return reply{status: status, doc: object{"error": failure}}
}
