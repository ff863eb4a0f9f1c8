package zoomtest

import (
	"html/template"
	"net/http"
)

// The headers in which the consent page tells Authorize what a person reads.
const (
	consentHeader = "X-Zoomtest-Consent"
	refusalHeader = "X-Zoomtest-Refusal"
)

const style = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Zoom (test)</title><style>
body{font:16px/1.5 system-ui,sans-serif;background:#f2f4f8;color:#1c2b45;margin:0}
main{max-width:26rem;margin:8vh auto;background:#fff;border-radius:12px;padding:2rem;box-shadow:0 2px 12px #0002}
h1{font-size:1.3rem;margin-top:0} li{font-family:monospace;font-size:.9rem}
select{width:100%;font:inherit;padding:.5rem;margin:.25rem 0 1rem}
button{font:inherit;padding:.6rem 1.4rem;border-radius:8px;border:1px solid #0b5cff;background:#0b5cff;color:#fff;cursor:pointer}
button.plain{background:#fff;color:#0b5cff} small{color:#5b6b85}
</style><main>`

var (
	consentTemplate = template.Must(template.New("consent").Parse(style + `
<h1>An app wants to use your Zoom account</h1>
<form method="post" action="/oauth/authorize">
<input type="hidden" name="consent" value="{{.Consent}}">
<label>You are <select name="user">{{range .Users}}<option value="{{.ID}}">{{.Name}} ({{.Email}})</option>{{end}}</select></label>
<p>It will be able to:</p><ul>{{range .Scopes}}<li>{{.}}</li>{{end}}</ul>
<button name="decision" value="allow">Allow</button> <button class="plain" name="decision" value="deny">Deny</button>
</form><p><small>This is not Zoom but its stand-in for tests.</small></p></main>`))

	messageTemplate = template.Must(template.New("message").Parse(style + `
<h1>{{.Title}}</h1><p>{{.Text}}</p><p><small>This is not Zoom but its stand-in for tests.</small></p></main>`))
)

func showPage(w http.ResponseWriter, status int, page *template.Template, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = page.Execute(w, data) // into memory
}

// refusePage shows an error to the person, as Zoom does when there is nowhere to redirect
// to.
func refusePage(w http.ResponseWriter, text string) {
	w.Header().Set(refusalHeader, text)
	showPage(w, http.StatusBadRequest, messageTemplate, map[string]string{"Title": "This does not work", "Text": text})
}
