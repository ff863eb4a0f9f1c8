package connect_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
)

// finish brings the callback without a browser, so that it can come twice or from
// elsewhere.
func (h *host) finish(doctor string, query url.Values, cookies ...*http.Cookie) (connect.Result, http.Header, error) {
	r := httptest.NewRequest(http.MethodGet, origin+"/callback?"+query.Encode(), nil)
	r.Header.Set("Doctor", doctor)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	result, err := h.Finish(w, r)
	return result, w.Header(), err
}

// A doctor who reloads the page sends the code again while it is being spent. A provider
// that sees it twice may take back the token that it gave for it.
func TestConcurrentCallbacksSpendTheCodeOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := newBrowser(t, "dr-rao")
	query := b.begin(t, h, "/connect")
	cookies := b.cookies()
	results := make(chan error)
	for range 8 {
		go func() {
			_, _, err := h.finish("dr-rao", query, cookies...)
			results <- err
		}()
	}
	connected := 0
	for range 8 {
		if err := <-results; err != nil {
			require.EqualError(t, err, "connect: expired")
			continue
		}
		connected++
	}
	require.Equal(t, 1, connected)
	require.Equal(t, 1, h.authority.exchanges)
	_, err := h.record(t, "dr-rao")
	require.NoError(t, err)
}

// The attacker's own flow, whole, in the victim's browser: cookie from a subdomain, state
// and code from a link.
func TestAPlantedFlow(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	attacker := newBrowser(t, "dr-evil")
	query := attacker.begin(t, h, "/connect")
	_, _, err := h.finish("dr-rao", query, attacker.cookies()...)
	require.EqualError(t, err, "connect: other_login")
	require.Zero(t, h.authority.exchanges)
}

func TestACookieOfAnotherProvider(t *testing.T) {
	t.Parallel()
	google := newHost(t)
	zoom := newHost(t, func(c *connect.Config) { c.Providers = []oauth.Provider{google.authority.provider("zoom")} })
	b := newBrowser(t, "dr-rao")
	query := b.begin(t, google, "/connect")
	cookie := b.cookies()[0]
	_, _, err := zoom.finish("dr-rao", query, cookie)
	require.EqualError(t, err, "connect: expired")
	renamed := &http.Cookie{Name: strings.Replace(cookie.Name, "google", "zoom", 1), Value: cookie.Value}
	_, _, err = zoom.finish("dr-rao", query, renamed)
	require.EqualError(t, err, "connect: expired")
	require.Zero(t, google.authority.exchanges)
}

func TestIssuer(t *testing.T) {
	t.Parallel()
	const ours = "https://issuer.example"
	tests := map[string]struct {
		require bool
		iss     []string
		want    string
	}{
		"none":              {false, nil, ""},
		"ours":              {false, []string{ours}, ""},
		"ours is demanded":  {true, []string{ours}, ""},
		"none is demanded":  {true, nil, "connect: invalid_callback"},
		"empty":             {false, []string{""}, "connect: invalid_callback"},
		"another":           {false, []string{"https://evil.example"}, "connect: invalid_callback"},
		"a slash more":      {false, []string{ours + "/"}, "connect: invalid_callback"},
		"ours, and another": {true, []string{ours, "https://evil.example"}, "connect: invalid_callback"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, func(c *connect.Config) { c.Providers[0].RequireIssuer = test.require })
			b := newBrowser(t, "dr-rao")
			query := b.begin(t, h, "/connect")
			if test.iss != nil {
				query["iss"] = test.iss
			}
			_, _, err := h.finish("dr-rao", query, b.cookies()...)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.want)
			require.Zero(t, h.authority.exchanges)
		})
	}
}

func TestAFlowThatFailsReturnsToItsPath(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := newBrowser(t, "dr-rao")
	synctest.Test(t, func(t *testing.T) {
		query := b.begin(t, h, "/connect?return_to=/doctor/onboarding")
		cookies := b.cookies()
		time.Sleep(11 * time.Minute)
		result, _, err := h.finish("dr-rao", query, cookies...)
		require.EqualError(t, err, "connect: expired")
		require.Equal(t, "/doctor/onboarding", result.ReturnTo)
	})
	query := b.begin(t, h, "/connect?return_to=/doctor/onboarding")
	query.Set("error", "access_denied")
	require.Equal(t, "/doctor/onboarding", b.callback(t, h, query).Path)
}

// The page that the doctor came from may still have the reason of the last attempt in its
// address.
func TestAnOldReasonIsDropped(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := newBrowser(t, "dr-rao")
	back := url.QueryEscape("/settings?success=false&reason=denied&provider=zoom")
	end := b.callback(t, h, b.begin(t, h, "/connect?return_to="+back))
	require.Equal(t, "provider=google&success=true", end.RawQuery)
}

// An application with pages of its own renders one at the address that has the code in
// it.
func TestFinishAndBeginAreNotCached(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	_, header, err := h.finish("dr-rao", url.Values{"code": {"x"}, "state": {"y"}})
	require.EqualError(t, err, "connect: expired")
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Equal(t, "no-referrer", header.Get("Referrer-Policy"))

	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, origin+"/own", nil)
	r.Header.Set("Doctor", "dr-rao")
	_, err = h.Begin(w, r, "")
	require.NoError(t, err)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
}

// A refresh token that the provider has rejected is no connection, whatever else is new.
func TestADeadRefreshTokenIsNotKept(t *testing.T) {
	t.Parallel()
	account := store.Account{ID: "acc-1"}
	h := newHost(t, func(c *connect.Config) {
		c.Providers[0].Identify = func(context.Context, store.Token, string) (store.Account, error) { return account, nil }
	})
	_, err := h.tokens.Put(t.Context(), store.Record{
		ID: h.AccountID("dr-rao"), Status: store.StatusReconnect,
		Token: store.Token{Access: telemed.NewSecret("old"), Refresh: telemed.NewSecret("dead"), Account: account},
	})
	require.NoError(t, err)
	h.authority.answer = map[string]any{"refresh_token": nil}
	b := newBrowser(t, "dr-rao")
	require.Equal(t, "no_refresh_token", b.callback(t, h, b.begin(t, h, "/connect")).Query().Get("reason"))
	rec, err := h.record(t, "dr-rao")
	require.NoError(t, err)
	require.Equal(t, store.StatusReconnect, rec.Status)
}

// exchange is a provider without a network, for tests in which time goes by.
type exchange func() (status int, body string)

func (f exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := f()
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

const goodToken = `{"access_token":"a","refresh_token":"r","expires_in":3600}`

// slowStore takes two seconds to write.
type slowStore struct{ *store.Memory }

func (s slowStore) Put(ctx context.Context, rec store.Record) (string, error) {
	select {
	case <-time.After(2 * time.Second):
		return s.Memory.Put(ctx, rec)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func TestASlowProviderLeavesTimeToStore(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(c *connect.Config) {
		c.Tokens = slowStore{store.NewMemory()}
		c.Providers[0].HTTPClient = &http.Client{Transport: exchange(func() (int, string) {
			time.Sleep(29 * time.Second)
			return http.StatusOK, goodToken
		})}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(t, "dr-rao")
		require.Equal(t, "true", b.callback(t, h, b.begin(t, h, "/connect")).Query().Get("success"))
	})
}

// lossyStore does what it is told, and its answer is lost.
type lossyStore struct {
	*store.Memory
	puts, deletes int // answers to lose
}

func (s *lossyStore) Put(ctx context.Context, rec store.Record) (string, error) {
	revision, err := s.Memory.Put(ctx, rec)
	if s.puts > 0 {
		s.puts--
		return "", errors.New("connection reset")
	}
	return revision, err
}

func (s *lossyStore) Delete(ctx context.Context, id store.AccountID) error {
	err := s.Memory.Delete(ctx, id)
	if s.deletes > 0 {
		s.deletes--
		return errors.New("connection reset")
	}
	return err
}

func TestAStoreWhoseAnswersAreLost(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T, puts, deletes int) (*host, *[]string) {
		lossy := &lossyStore{store.NewMemory(), puts, deletes}
		revoked := &[]string{}
		h := newHost(t, func(c *connect.Config) {
			c.Tokens = lossy
			c.Providers[0].HTTPClient = &http.Client{Transport: exchange(func() (int, string) { return http.StatusOK, goodToken })}
			c.Providers[0].Identify = func(context.Context, store.Token, string) (store.Account, error) {
				return store.Account{ID: "acc-1"}, nil
			}
			c.Providers[0].Revoke = func(_ context.Context, token store.Token) error {
				*revoked = append(*revoked, token.Refresh.Reveal())
				return nil
			}
		})
		h.tokens = lossy.Memory
		return h, revoked
	}

	t.Run("of the token, now and then", func(t *testing.T) {
		t.Parallel()
		h, _ := setup(t, 3, 0)
		synctest.Test(t, func(t *testing.T) {
			b := newBrowser(t, "dr-rao")
			require.Equal(t, "true", b.callback(t, h, b.begin(t, h, "/connect")).Query().Get("success"))
		})
	})

	t.Run("of the token, all of them", func(t *testing.T) {
		t.Parallel()
		h, _ := setup(t, 1000, 0)
		synctest.Test(t, func(t *testing.T) {
			b := newBrowser(t, "dr-rao")
			end := b.callback(t, h, b.begin(t, h, "/connect"))
			require.Equal(t, "not_stored", end.Query().Get("reason"))
			_, err := h.record(t, "dr-rao")
			require.NoError(t, err, "as FlowError says: with ReasonStore, nobody knows")
		})
	})

	t.Run("of the deletion", func(t *testing.T) {
		t.Parallel()
		h, revoked := setup(t, 0, 1)
		require.NoError(t, store.Set(t.Context(), h.tokens, h.AccountID("dr-rao"), store.Token{
			Access: telemed.NewSecret("a"), Refresh: telemed.NewSecret("r"), Account: store.Account{ID: "acc-1"},
		}))
		done, err := h.Forget(t.Context(), h.AccountID("dr-rao"))
		require.NoError(t, err)
		require.True(t, done, "the grant must not outlive the account")
		require.Equal(t, []string{"r"}, *revoked)
	})
}

// FuzzCallback brings any query and any cookie for a real flow: STATE and SEALED in the
// inputs are the flow's own. Nothing but its own cookie, one state and one code may reach
// the provider.
func FuzzCallback(f *testing.F) {
	f.Add("state=STATE&code=b", "SEALED")
	f.Add("state=STATE&code=b&iss=https%3A%2F%2Fissuer.example", "SEALED")
	f.Add("state=STATE&state=STATE&code=b", "SEALED")
	f.Add("state=STATE&code=b&code=c&iss=a&iss=b", "SEALED")
	f.Add("state=STATE&error=access_denied&code=b", "SEALED")
	f.Add("state=STATE&code=b", "SEALEDA")
	f.Add("state=STATE&code=b", "AAAA")
	f.Add("state=%00;&code", "")
	f.Fuzz(func(t *testing.T, query, value string) {
		sent := 0
		cfg := connect.Config{
			Providers: []oauth.Provider{(&authority{Server: &httptest.Server{URL: "https://issuer.example"}}).provider("google")},
			Tokens:    store.NewMemory(), Seal: cookieKeys, ReturnURL: returnURL, Subject: doctor,
		}
		cfg.Providers[0].HTTPClient = &http.Client{Transport: exchange(func() (int, string) { sent++; return http.StatusOK, goodToken })}
		c, err := connect.New(cfg)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, origin+"/callback", nil)
		r.Header.Set("Doctor", "dr-rao")
		w := httptest.NewRecorder()
		target, err := c.Begin(w, r, "google", "")
		require.NoError(t, err)
		begun, err := url.Parse(target)
		require.NoError(t, err)
		state, cookie := begun.Query().Get("state"), w.Result().Cookies()[0]

		r.URL.RawQuery = strings.ReplaceAll(query, "STATE", state)
		value = strings.ReplaceAll(value, "SEALED", cookie.Value)
		r.Header.Set("Cookie", cookie.Name+"="+value)
		w = httptest.NewRecorder()
		action(c, "google", "callback").ServeHTTP(w, r)

		location := w.Header().Get("Location")
		require.True(t, strings.HasPrefix(location, returnURL+"?provider=google&"), location)
		if sent == 0 {
			require.Contains(t, location, "success=false")
			return
		}
		asked := r.URL.Query()
		require.Equal(t, []string{state}, asked["state"])
		require.Len(t, asked["code"], 1)
		require.False(t, asked.Has("error"))
		require.True(t, !asked.Has("iss") || len(asked["iss"]) == 1 && asked.Get("iss") == "https://issuer.example")
		came, err := r.Cookie(cookie.Name)
		require.NoError(t, err)
		require.True(t, sameBytes(came.Value, cookie.Value), "a forged cookie was opened")
	})
}

// sameBytes compares what two texts of base64 mean: its last character has bits to spare.
func sameBytes(a, b string) bool {
	left, errA := base64.RawURLEncoding.DecodeString(a)
	right, errB := base64.RawURLEncoding.DecodeString(b)
	return errA == nil && errB == nil && string(left) == string(right)
}
