package zoomtest

import (
	"encoding/json"
	"net/http"
)

// refuse answers as Zoom's API does, naming fields if there are any.
func refuse(w http.ResponseWriter, status, code int, message string, fields ...string) {
	body := map[string]any{"code": code, "message": message}
	var problems []map[string]string
	for _, field := range fields {
		problems = append(problems, map[string]string{"field": field, "message": "Invalid parameter: " + field + "."})
	}
	if problems != nil {
		body["errors"] = problems
	}
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // into memory
}
