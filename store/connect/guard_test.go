package connect_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/connect"
)

// Requests as browsers make them: https://www.w3.org/TR/fetch-metadata/ and the headers
// of those that send none of that.
var (
	strangers = map[string][]string{
		"a link on another site":         {"GET", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"with a click":                   {"GET", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-User", "?1"},
		"back by an open redirect":       {"GET", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Referer", origin + "/"},
		"a site of a new kind":           {"GET", "Sec-Fetch-Site", "near-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"a frame":                        {"GET", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		"a frame of a sibling":           {"GET", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		"a frame of the own page":        {"GET", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "frame"},
		"a post into a frame":            {"POST", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		"an image":                       {"GET", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"},
		"an image in a doctor's profile": {"GET", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"},
		"a script of another site":       {"GET", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty"},
		"a script of a sibling":          {"GET", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty"},
		"a form of another site":         {"POST", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Origin", "https://evil.example"},
		"a form of a sandbox":            {"POST", "Sec-Fetch-Site", "cross-site", "Origin", "null"},
		"a form of a sibling":            {"POST", "Sec-Fetch-Site", "same-site", "Origin", "https://blog.clinic.example"},
		"a form, no metadata":            {"POST", "Origin", "https://evil.example"},
		"a form without origin":          {"POST", "Referer", "https://evil.example/a"},
		"a link, no metadata":            {"GET", "Referer", "https://evil.example/a?b"},
		"no metadata, a scheme of ours":  {"GET", "Referer", "about:client"},
		"no metadata, another port":      {"GET", "Referer", origin + ":8443/"},
		"no metadata, a name like ours":  {"GET", "Referer", origin + ".evil.example/"},
		"a script, no metadata":          {"GET", "Origin", "https://evil.example"},
		"a prefetch":                     {"GET", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "document", "Sec-Purpose", "prefetch"},
		"a prerendering":                 {"GET", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Purpose", "prefetch;prerender"},
		"an older prefetch":              {"GET", "Purpose", "prefetch"},
		"Firefox's older prefetch":       {"GET", "X-Moz", "prefetch"},
		"Safari's preview":               {"GET", "X-Purpose", "preview"},
	}
	ownPages = map[string][]string{
		"a link":                         {"GET", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"a link of the app's origin":     {"GET", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Referer", "https://app.clinic.example/"},
		"the address bar":                {"GET", "Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"a form":                         {"POST", "Sec-Fetch-Site", "same-origin", "Origin", origin, "Sec-Fetch-Dest", "document"},
		"a form of ReturnURL's origin":   {"POST", "Sec-Fetch-Site", "same-site", "Origin", "https://app.clinic.example"},
		"a script":                       {"POST", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Origin", origin},
		"a script of ReturnURL's origin": {"POST", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Origin", "https://app.clinic.example"},
		"a form, no metadata":            {"POST", "Origin", origin},
		"a link, no metadata":            {"GET", "Referer", origin + "/settings"},
		"a link, no metadata, ReturnURL": {"GET", "Referer", returnURL},
		"nothing at all":                 {"GET"},
		"a program's post":               {"POST"},
	}
)

func TestStrangersBeginNoFlow(t *testing.T) {
	t.Parallel()
	for name, request := range strangers {
		var log bytes.Buffer
		h := newHost(t, func(c *connect.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		b := newBrowser(t, "dr-rao")
		w := b.do(h.Start(), request[0], "/connect", request[1:]...)
		require.Equal(t, http.StatusForbidden, w.Code, name)
		require.Empty(t, w.Header()["Set-Cookie"], name)
		require.Empty(t, w.Header().Get("Location"), name)
		require.Contains(t, log.String(), "cross_site", name)
		require.NotContains(t, log.String(), "evil", name)

		r := httptest.NewRequest(request[0], origin+"/own", nil)
		r.Header.Set("Doctor", "dr-rao")
		for i := 1; i < len(request); i += 2 {
			r.Header.Set(request[i], request[i+1])
		}
		w = httptest.NewRecorder()
		address, err := h.Begin(w, r, "")
		failed, _ := errors.AsType[*connect.FlowError](err)
		require.NotNil(t, failed, name)
		require.Equal(t, connect.ReasonCrossSite, failed.Reason, name)
		require.ErrorIs(t, err, telemed.ErrForbidden, name)
		require.Empty(t, address, name)
		require.Empty(t, w.Header()["Set-Cookie"], name)
	}
}

func TestOwnPagesBeginFlows(t *testing.T) {
	t.Parallel()
	for name, request := range ownPages {
		h := newHost(t)
		b := newBrowser(t, "dr-rao")
		w := b.do(h.Start(), request[0], "/connect", request[1:]...)
		require.Equal(t, http.StatusSeeOther, w.Code, name)
		require.Len(t, b.cookies(), 1, name)
		end := b.callback(t, h, h.authority.consent(t, w.Header().Get("Location")))
		require.Equal(t, "true", end.Query().Get("success"), name)
	}
}

// The recipe for sessions that a browser does not send when it comes from the consent
// page: the handler of the callback would find nobody, the page's script is the doctor.
func TestPagesThatLogInByScript(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	begin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, err := h.Begin(w, r, "/settings")
		if err != nil {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(address))
	})
	finish := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result, err := h.Finish(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		_, _ = w.Write([]byte(result.ReturnTo))
	})
	script := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Origin", origin}

	b := newBrowser(t, "dr-rao")
	w := b.do(begin, http.MethodPost, "/begin", script...)
	require.Equal(t, http.StatusOK, w.Code)
	query := h.authority.consent(t, w.Body.String()).Encode()
	w = b.do(finish, http.MethodPost, "/finish?"+query, script...)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, "/settings", w.Body.String())
	_, err := h.record(t, "dr-rao")
	require.NoError(t, err)

	// Another browser's script has no cookie of this flow, a stranger's page no access.
	w = newBrowser(t, "dr-rao").do(finish, http.MethodPost, "/finish?"+query, script...)
	require.Equal(t, http.StatusConflict, w.Code)
	w = b.do(begin, http.MethodPost, "/begin", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	require.Equal(t, http.StatusForbidden, w.Code)

	// What the recipe is for: at Callback, such a browser is nobody.
	b = newBrowser(t, "dr-rao")
	w = b.do(begin, http.MethodPost, "/begin", script...)
	back := h.authority.consent(t, w.Body.String())
	b.doctor = ""
	require.Equal(t, "login_required", b.callback(t, h, back).Query().Get("reason"))
}
