//go:build !race

package wordstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
)

// words are a patient's, in forms that pass for a code, a constant, a field or an id.
var words = []string{
	"CANARY-Asha-Verma", "Canary", "CANARY_ASHA_ERROR", "canary_asha_failed", "canary.asha[0].name", "canaryAsha",
	"919812345678", "v=2.0;rid=CANARY_asha", "Asha Verma <asha.canary@example.org>", "+91 98123 canary",
}

// bodies are each provider's error with WORD where it has words.
var bodies = map[string]string{
	"zoom's":     `{"code":300,"message":"WORD","errors":[{"field":"WORD","message":"WORD"}]}`,
	"zoom's 124": `{"code":124,"message":"WORD","reason":"WORD","error":"WORD"}`,
	"google's":   `{"error":{"code":400,"message":"WORD","status":"WORD","errors":[{"domain":"WORD","reason":"WORD","location":"WORD"}],"details":[{"reason":"WORD"}]}}`,
	"razorpay's": `{"error":{"code":"WORD","description":"WORD","source":"WORD","step":"WORD","reason":"WORD","field":"WORD","metadata":{"payment_id":"WORD","order_id":"WORD"}}}`,
	"meta's":     `{"error":{"message":"WORD","type":"WORD","code":131030,"error_data":{"details":"WORD"},"error_user_title":"WORD","fbtrace_id":"WORD"}}`,
	"oauth's":    `{"error":"WORD","error_description":"WORD","error_uri":"https://x.example/WORD","reason":"WORD"}`,
	"bare":       `"WORD"`,
	"no JSON":    `<html>WORD`,
	"wrong type": `{"id":{"WORD":1},"access_token":{"WORD":2},"expires_in":"WORD","start_time":"WORD","amount":"WORD","status":"WORD"}`,
	"a success":  `{"id":"WORD","access_token":"WORD","refresh_token":"WORD","scope":"WORD","token_type":"WORD","expires_in":"WORD","messages":[{"id":"WORD"}]}`,
}

// hostile answers each request alike, in memory.
type hostile struct {
	status int
	body   string
	word   string
	err    error
}

func (h *hostile) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	if h.err != nil {
		return nil, h.err
	}
	header := http.Header{"Content-Type": {"application/json; charset=" + h.word}}
	for _, name := range []string{
		"X-Fb-Trace-Id", "X-Zm-Trackingid", "X-Razorpay-Request-Id", "X-Request-Id", "Request-Id", "Retry-After",
		"X-Ratelimit-Type", "Www-Authenticate", "Set-Cookie", "Server",
	} {
		header.Set(name, h.word)
	}
	header.Set("Location", "https://elsewhere.example/?name="+url.QueryEscape(h.word))
	return &http.Response{
		Status: fmt.Sprintf("%d %s", h.status, h.word), StatusCode: h.status, Header: header,
		Body: io.NopCloser(strings.NewReader(h.body)), Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// clients are those of all providers, with every call that asks one.
type clients struct {
	log   bytes.Buffer
	calls map[string]func(context.Context) error
	ends  []interface{ Shutdown(context.Context) error }
}

const (
	base    = "https://provider.example"
	subject = "asha.canary@example.org"
)

func newClients(t *testing.T, transport http.RoundTripper) *clients {
	t.Helper()
	c := &clients{calls: map[string]func(context.Context) error{}}
	log := slog.New(slog.NewJSONHandler(&c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client := &http.Client{Transport: transport}
	tokens := store.NewMemory()
	for _, provider := range []string{"google", "zoom"} {
		require.NoError(t, store.Set(t.Context(), tokens, store.AccountID{Provider: provider, Subject: subject}, store.Token{
			Access: telemed.NewSecret("at-s3cret"), Refresh: telemed.NewSecret("rt-s3cret"), Expiry: time.Now().Add(time.Hour),
			Scopes: append(zoom.DefaultScopes(), googlemeet.ScopeEvents),
		}))
	}
	z, err := zoom.New(zoom.Config{
		ClientID: "c", ClientSecret: telemed.NewSecret("s3cret"), RedirectURL: "https://app.example/cb", Tokens: tokens, HTTPClient: client,
		Endpoints: zoom.Endpoints{Authorize: base + "/a", Token: base + "/t", Revoke: base + "/r", API: base + "/v2"}, Logger: log,
	})
	require.NoError(t, err)
	g, err := googlemeet.New(googlemeet.Config{
		ClientID: "c", ClientSecret: telemed.NewSecret("s3cret"), RedirectURL: "https://app.example/cb", Tokens: tokens, HTTPClient: client,
		Endpoints: googlemeet.Endpoints{Authorize: base + "/a", Token: base + "/t", Revoke: base + "/r", Calendar: base + "/c"}, Logger: log,
	})
	require.NoError(t, err)
	c.ends = append(c.ends, z, g)
	for name, p := range map[string]meet.MeetingProvider{"zoom": z, "google": g} {
		c.meetings(name, p)
	}
	for _, p := range []oauth.Provider{z.OAuth(), g.OAuth()} {
		c.consent(t, p, tokens, log)
	}
	c.payments(t, client, log)
	c.messages(t, client, log)
	return c
}

func (c *clients) meetings(name string, p meet.MeetingProvider) {
	visit := meet.Request{
		Key: "k-1", Topic: "Visit", Start: time.Now().Add(time.Hour), Duration: 30 * time.Minute,
		Attendees: []meet.Attendee{{Name: "Asha Verma", Email: subject}},
	}
	c.calls[name+" Create"] = func(ctx context.Context) error { _, err := p.Create(ctx, subject, visit); return err }
	c.calls[name+" Get"] = func(ctx context.Context) error { _, err := p.Get(ctx, subject, "123456789"); return err }
	c.calls[name+" Update"] = func(ctx context.Context) error { _, err := p.Update(ctx, subject, "123456789", visit); return err }
	c.calls[name+" Cancel"] = func(ctx context.Context) error { return p.Cancel(ctx, subject, "123456789") }
}

// consent is what is asked of a provider's OAuth server, by a Provider, a Source and
// connect.
func (c *clients) consent(t *testing.T, p oauth.Provider, tokens store.TokenStore, log *slog.Logger) {
	t.Helper()
	old := store.Token{Access: telemed.NewSecret("at-s3cret"), Refresh: telemed.NewSecret("rt-s3cret"), Expiry: time.Now().Add(time.Hour)}
	c.calls[p.Name+" Exchange"] = func(ctx context.Context) error { _, err := p.Exchange(ctx, "code-s3cret", "v"); return err }
	c.calls[p.Name+" Refresh"] = func(ctx context.Context) error { _, err := p.Refresh(ctx, old); return err }
	c.calls[p.Name+" Revoke"] = func(ctx context.Context) error { return p.Revoke(ctx, old) }
	id := store.AccountID{Provider: p.Name, Subject: subject + ".expired"}
	source, err := p.NewSource(tokens, oauth.Tuning{}, log)
	require.NoError(t, err)
	c.ends = append(c.ends, source)
	c.calls[p.Name+" Source"] = func(ctx context.Context) error {
		expired := old
		expired.Expiry = time.Now().Add(-time.Hour)
		if err := store.Set(ctx, tokens, id, expired); err != nil {
			return nil
		}
		_, err := source.Token(ctx, id)
		return err
	}
	keyring, err := store.NewKeyring(store.NewKey())
	require.NoError(t, err)
	connector, err := connect.New(connect.Config{
		Providers: []oauth.Provider{p}, Tokens: tokens, Seal: keyring, ReturnURL: "https://app.example/", Logger: log,
		Subject: func(*http.Request) (string, error) { return subject, nil },
	})
	require.NoError(t, err)
	c.calls[p.Name+" Finish"] = func(context.Context) error {
		w := httptest.NewRecorder()
		target, err := connector.Begin(w, httptest.NewRequest(http.MethodPost, "/begin", nil), p.Name, "")
		if err != nil {
			return err
		}
		u, _ := url.Parse(target)
		r := httptest.NewRequest(http.MethodGet, "/cb?code=code-s3cret&state="+u.Query().Get("state"), nil)
		if p.Issuer != "" {
			r.URL.RawQuery += "&iss=" + url.QueryEscape(p.Issuer)
		}
		r.AddCookie(w.Result().Cookies()[0])
		_, err = connector.Finish(httptest.NewRecorder(), r, p.Name)
		return err
	}
}

func (c *clients) payments(t *testing.T, client *http.Client, log *slog.Logger) {
	t.Helper()
	r, err := razorpay.New(razorpay.Config{
		KeyID: "rzp_test_x", KeySecret: telemed.NewSecret("s3cret"), BaseURL: base, HTTPClient: client, Logger: log,
	})
	require.NoError(t, err)
	c.calls["razorpay CreateOrder"] = func(ctx context.Context) error {
		_, err := r.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "r-1"})
		return err
	}
	c.calls["razorpay Payment"] = func(ctx context.Context) error { _, err := r.Payment(ctx, "pay_ABCDEFGHIJKLMN"); return err }
	c.calls["razorpay Refund"] = func(ctx context.Context) error {
		_, err := r.Refund(ctx, payments.RefundRequest{PaymentID: "pay_ABCDEFGHIJKLMN", Amount: new(payments.INR(100)), Key: "refund-key-1"})
		return err
	}
}

func (c *clients) messages(t *testing.T, client *http.Client, log *slog.Logger) {
	t.Helper()
	w, err := whatsapp.New(whatsapp.Config{
		PhoneNumberID: "123", Token: telemed.NewSecret("at-s3cret"), BaseURL: base, HTTPClient: client, Logger: log,
	})
	require.NoError(t, err)
	c.calls["whatsapp Notify"] = func(ctx context.Context) error {
		_, err := w.Notify(ctx, notify.Message{
			Key: "k", To: notify.Recipient{Name: "Asha Verma", Phone: "+919812345678", Locale: "en"},
			Content: &notify.Content{WhatsApp: &notify.WhatsAppTemplate{Name: "visit", Language: "en", Body: []string{"Asha"}}},
		})
		return err
	}
}

// ask makes every call once, and looks at what it says and at the log.
func (l leaks) ask(t *testing.T, h *hostile, answer string) (failed int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newClients(t, h)
		for name, call := range c.calls {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			if err := call(ctx); err != nil {
				failed++
				l.look(name, answer, err)
			}
			cancel()
		}
		for _, end := range c.ends {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
			_ = end.Shutdown(ctx)
			cancel()
		}
		l.lookAt("log", answer, c.log.String())
	})
	return failed
}

func TestNoWordComesBack(t *testing.T) {
	t.Parallel()
	found, failed, turn := leaks{}, 0, 0
	try := func(status int, kind string) {
		word := words[turn%len(words)]
		turn++
		h := &hostile{status: status, body: strings.ReplaceAll(bodies[kind], "WORD", word), word: word}
		failed += found.ask(t, h, fmt.Sprintf("%d, %s, %s", status, kind, word))
	}
	for _, status := range []int{200, 201, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503} {
		for kind := range bodies {
			try(status, kind)
		}
	}
	kinds := []string{"zoom's", "google's", "razorpay's", "meta's", "oauth's"}
	for status := 200; status <= 599; status += 8 { // 200, 208, … with the next kind each time
		try(status, kinds[status%len(kinds)])
	}
	for _, word := range words {
		failed += found.ask(t, &hostile{err: errors.New("dial " + word)}, "no answer, "+word)
	}
	require.Greater(t, failed, 3000, "most calls fail, or nothing was looked at")
	found.report(t)
}

// The page of a payment, in the browser, is as strange as a provider.
func TestNoWordOfABrowserComesBack(t *testing.T) {
	t.Parallel()
	found := leaks{}
	gateway, err := razorpay.New(razorpay.Config{KeyID: "rzp_test_x", KeySecret: telemed.NewSecret("s3cret")})
	require.NoError(t, err)
	for _, word := range words {
		form := url.Values{"razorpay_order_id": {word}}
		for _, part := range []string{"code", "description", "source", "step", "reason", "field", "metadata"} {
			form.Set("error["+part+"]", word)
		}
		for kind, body := range map[string]string{
			"application/json":                  strings.ReplaceAll(bodies["razorpay's"], "WORD", word),
			"application/x-www-form-urlencoded": form.Encode(),
		} {
			r := httptest.NewRequest(http.MethodPost, "/paid", strings.NewReader(body))
			r.Header.Set("Content-Type", kind)
			_, err := gateway.ParseCallback(httptest.NewRecorder(), r)
			require.Error(t, err)
			found.look("ParseCallback", kind+", "+word, err)
		}
	}
	found.report(t)
}
