package razorpaytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The parameters of each operation. What is not here is refused, as Razorpay does with what
// an account has not: nothing is accepted and ignored.
var (
	orderParams = []string{
		"amount", "currency", "receipt", "notes", "partial_payment", "first_payment_min_amount",
		"payment_capture", "payment", "unique_receipt",
	}
	settingParams = []string{"capture", "capture_options"}
	optionParams  = []string{"automatic_expiry_period", "manual_expiry_period", "refund_speed"}
	captureParams = []string{"amount", "currency"}
	refundParams  = []string{"amount", "speed", "notes", "receipt"}
	editParams    = []string{"notes"}
	pageParams    = []string{"from", "to", "count", "skip"}
)

// extra refuses what does not belong to an operation.
func extra(params object, allowed []string) *Refusal {
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !slices.Contains(allowed, name) {
			r := refusal(http.StatusBadRequest, name+" is/are not required and should not be sent", "")
			r.Reason = "extra_field_sent"
			return r
		}
	}
	return nil
}

// paramsOf reads a JSON or form body; brackets in form names make objects, as in PHP.
func paramsOf(contentType string, body []byte) (object, *Refusal) {
	params := object{}
	if len(bytes.TrimSpace(body)) == 0 {
		return params, nil
	}
	if strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, refusal(http.StatusBadRequest, "The request body could not be read.", "")
		}
		for _, name := range slices.Sorted(maps.Keys(form)) {
			if !put(params, name, form[name][len(form[name])-1]) {
				return nil, refusal(http.StatusBadRequest, "The request body could not be read.", "")
			}
		}
		return params, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&params) != nil || decoder.Decode(new(any)) != io.EOF {
		return nil, refusal(http.StatusBadRequest, "The request body could not be read.", "")
	}
	return params, nil
}

// put sets what a form's name[of][a][value] leads to. It reports whether that is free.
func put(params object, name, value string) bool {
	outer, inner, nested := strings.Cut(name, "[")
	if !nested {
		_, taken := params[name]
		params[name] = value
		return !taken
	}
	inner, rest, closed := strings.Cut(inner, "]")
	group, ok := params[outer].(object)
	if params[outer] == nil {
		group, ok = object{}, true
		params[outer] = group
	}
	return ok && closed && put(group, inner+rest, value)
}

func amountOf(params object, field string) (int64, *Refusal) {
	if params[field] == nil {
		return 0, refusal(http.StatusBadRequest, field+": is required.", field)
	}
	amount, err := strconv.ParseInt(stringOf(params[field]), 10, 64)
	if err != nil {
		return 0, refusal(http.StatusBadRequest, "The amount must be an integer.", field)
	}
	return amount, nil
}

func stringOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func notesOf(value any) (map[string]string, *Refusal) {
	if list, ok := value.([]any); value == nil || ok && len(list) == 0 {
		return nil, nil
	}
	given, ok := value.(object)
	if !ok {
		return nil, refusal(http.StatusBadRequest, "The notes must be an array.", "notes")
	}
	if len(given) > 15 {
		return nil, refusal(http.StatusBadRequest, "Number of fields in notes should be less than or equal to 15", "notes")
	}
	notes := make(map[string]string, len(given))
	for key, v := range given {
		switch v.(type) {
		case object, []any:
			return nil, refusal(http.StatusBadRequest, "notes value should be a string", "notes")
		}
		notes[key] = stringOf(v)
		if utf8.RuneCountInString(key) > 256 || utf8.RuneCountInString(notes[key]) > 256 {
			return nil, refusal(http.StatusBadRequest, "notes.key and notes.value should be less than 256 characters", "notes")
		}
	}
	return notes, nil
}

// textOf reads a text, or nothing.
func textOf(params object, field string) (string, *Refusal) {
	switch v := params[field].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		return "", refusal(http.StatusBadRequest, "expected string but provided number", field)
	default:
		return "", refusal(http.StatusBadRequest, "expected string but provided another type", field)
	}
}

// flagOf reads a bool in each way in which the libraries write it.
func flagOf(params object, field string) (value, given bool, refused *Refusal) {
	if params[field] == nil {
		return false, false, nil
	}
	switch stringOf(params[field]) {
	case "1", "true":
		return true, true, nil
	case "0", "false":
		return false, true, nil
	}
	return false, true, refusal(http.StatusBadRequest, "The "+field+" field must be true or false.", field)
}

// numberOf reads an integer of a range, or its absence.
func numberOf(params object, field string, least, most int64) (value int64, given bool, refused *Refusal) {
	if params[field] == nil {
		return 0, false, nil
	}
	value, err := strconv.ParseInt(stringOf(params[field]), 10, 64)
	switch {
	case err != nil:
		return 0, true, refusal(http.StatusBadRequest, "The "+field+" must be an integer.", field)
	case value < least:
		return 0, true, refusal(http.StatusBadRequest, fmt.Sprintf("The %s must be at least %d.", field, least), field)
	case value > most:
		return 0, true, refusal(http.StatusBadRequest, fmt.Sprintf("The %s may not be greater than %d.", field, most), field)
	}
	return value, true, nil
}

// queryOf returns the parameters of a query, and what it wants expanded: expand[]=a,
// expand[0]=a, and the expand[expand[]]=a that the Node library sends.
func queryOf(r *http.Request) (params object, expand []string) {
	params = object{}
	query := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if strings.HasPrefix(name, "expand[") {
			expand = append(expand, query[name]...)
			continue
		}
		params[name] = query[name][len(query[name])-1]
	}
	return params, expand
}

// expandable refuses what an entity has not.
func expandable(expand []string, allowed ...string) *Refusal {
	for i, name := range expand {
		if !slices.Contains(allowed, name) {
			return refusal(http.StatusBadRequest,
				"Value of each expand must be one of following types: "+strings.Join(allowed, ", "), fmt.Sprintf("expand.%d", i))
		}
	}
	return nil
}
