package main

import (
	"errors"
	"html/template"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/visit"
)

// fields are the form's, by the names that visit.Request has, in the order of the page.
var fields = [][2]string{
	{"Patient.Name", "name"}, {"Patient.Email", "email"}, {"Patient", "email"}, {"Patient.Phone", "phone"},
	{"Patient.Zone", "zone"}, {"Start", "start"}, {"start", "start"}, {"Provider", "provider"},
}

// problems are what is wrong with a form, by the field's name.
type problems map[string]string

// problemsOf returns what is wrong with a form, nil if the error is about something else.
func problemsOf(err error) problems {
	if errors.Is(err, visit.ErrTaken) {
		return problems{"start": "is taken: the doctor has another visit then"}
	}
	wrong := problems{}
	for _, f := range telemed.Fields(err) {
		for _, field := range fields {
			if field[0] == f.Field && wrong[field[1]] == "" {
				wrong[field[1]] = f.Problem
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return wrong
}

// flagged marks an input that is wrong, for screen readers too, and puts the cursor into
// the first one.
func flagged(wrong problems, field string) template.HTMLAttr {
	if wrong[field] == "" {
		return ""
	}
	attributes := `aria-invalid="true" aria-describedby="wrong-` + field + `"`
	for _, f := range fields {
		if wrong[f[1]] != "" {
			if f[1] == field {
				return template.HTMLAttr(attributes + " autofocus") // of constants alone
			}
			break
		}
	}
	return template.HTMLAttr(attributes)
}
