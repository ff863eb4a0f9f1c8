package fake_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
)

// counter counts what was carried out.
type counter struct {
	*fake.Server
	done fake.Log[string]
}

func start(t *testing.T, cfg fake.Config) *counter {
	t.Helper()
	cfg.Kit, cfg.Aside = "countertest", []string{"token"}
	cfg.Header = func(h http.Header) { h.Set("X-Request-Id", "7") }
	server, err := fake.NewServer(cfg)
	require.NoError(t, err)
	c := &counter{Server: server}
	c.Handle("add", "POST /add/{what}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.done.Add(r.PathValue("what") + string(body))
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-True", "yes")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "added")
	})
	c.Handle("token", "/token", func(http.ResponseWriter, *http.Request) { c.done.Add("token") })
	c.Handle("", "GET /page", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/away", http.StatusFound)
	})
	c.Serve()
	t.Cleanup(c.Close)
	return c
}

// add returns status and body, and the error of the whole exchange.
func (c *counter) add(ctx context.Context, body string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL()+"/add/x%2Fy?n=1", strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Authorization", "Bearer secret")
	resp, err := c.Client().Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp, string(answer), err
}

func TestFaults(t *testing.T) {
	t.Parallel()
	retry := http.Header{"Retry-After": {"3"}, "Content-Type": {"text/csv"}}
	for name, test := range map[string]struct {
		fault  fake.Fault
		status int // of the answer, 0: there is none
		body   string
		done   bool
		kind   string
	}{
		"zero":                  {fake.Fault{}, 201, "added", true, "text/plain"},
		"header alone":          {fake.Fault{Header: retry, Body: "x"}, 201, "added", true, "text/plain"},
		"refused":               {fake.Fault{Status: 429, Body: `{"code":1}`}, 429, `{"code":1}`, false, "application/json; charset=utf-8"},
		"page":                  {fake.Fault{Status: 502, Body: "<p>"}, 502, "<p>", false, "text/html; charset=utf-8"},
		"own header":            {fake.Fault{Status: 400, Header: retry, Body: "x"}, 400, "x", false, "text/csv"},
		"empty":                 {fake.Fault{Status: 200}, 200, "", false, ""},
		"lost request":          {fake.Fault{LoseRequest: true}, 0, "", false, ""},
		"lost request, refused": {fake.Fault{LoseRequest: true, Status: 500}, 0, "", false, ""},
		"lost answer":           {fake.Fault{LoseAnswer: true}, 0, "", true, ""},
		"another answer":        {fake.Fault{LoseAnswer: true, Status: 504, Body: "<p>"}, 504, "<p>", true, "text/html; charset=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, fake.Config{})
			c.FailNext(test.fault)
			resp, body, err := c.add(t.Context(), "!")
			if test.status == 0 {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
				require.Equal(t, test.status, resp.StatusCode)
				require.Equal(t, "7", resp.Header.Get("X-Request-Id"))
				require.Equal(t, test.kind, resp.Header.Get("Content-Type"))
				require.Equal(t, test.status == 201, resp.Header.Get("X-True") != "", "nothing of the true answer is left")
				require.Equal(t, test.fault.Status != 0 && test.fault.Header != nil, resp.Header.Get("Retry-After") != "")
			}
			require.Equal(t, test.body, body)
			require.Equal(t, test.done, len(c.done.All()) == 1)
			require.Equal(t, test.status, c.Requests()[0].Status)
			_, body, err = c.add(t.Context(), "!")
			require.NoError(t, err, "once")
			require.Equal(t, "added", body)
		})
	}
}

func TestCutAnswers(t *testing.T) {
	t.Parallel()
	c := start(t, fake.Config{})
	c.FailNext(fake.Fault{Cut: true}, fake.Fault{Cut: true, Status: 503, Body: "<html>"}, fake.Fault{Cut: true, Status: 204})
	for _, want := range []struct {
		status int
		body   string
	}{{201, "ad"}, {503, "<ht"}} {
		resp, body, err := c.add(t.Context(), "")
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, want.status, resp.StatusCode)
		require.Equal(t, want.body, body)
	}
	_, _, err := c.add(t.Context(), "")
	require.Error(t, err, "there is no half of nothing")
	require.Len(t, c.done.All(), 3)
	for _, r := range c.Requests() {
		require.Zero(t, r.Status)
	}
}

// An hour passes at once: clients, faults and waits are in one bubble.
func TestBubble(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := start(t, fake.Config{InMemory: true, TLS: secure})
				c.Client().Timeout = 0
				begin := time.Now()
				c.FailNext(fake.Fault{Op: "add", Delay: time.Hour})
				_, body, err := c.add(t.Context(), "")
				require.NoError(t, err)
				require.Equal(t, "added", body)
				require.Equal(t, time.Hour, time.Since(begin))

				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				c.FailNext(fake.Fault{Hang: true, Delay: time.Second})
				_, _, err = c.add(ctx, "")
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Len(t, c.done.All(), 1)

				c.FailNext(fake.Fault{Delay: time.Hour})
				ended := make(chan error, 1)
				go func() {
					_, _, err := c.add(t.Context(), "late")
					ended <- err
				}()
				arrived, err := c.WaitFor(t.Context(), func(r fake.Request) bool { return r.Body == "late" })
				require.NoError(t, err)
				require.Zero(t, arrived.Status, "it is under way")
				c.Close()
				require.Error(t, <-ended)
				require.Len(t, c.done.All(), 1, "Close ends what waits")
			})
		})
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	c := start(t, fake.Config{})
	c.FailNext(fake.Fault{Status: 500}) // not for the token
	resp, err := c.Client().Post(c.URL()+"/token?code=secret", "text/plain", strings.NewReader("secret"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode)
	_, _, err = c.add(t.Context(), "!")
	require.NoError(t, err)

	token, add := c.Requests("token"), c.Requests("add", "other")
	require.Equal(t, append(token, add...), c.Requests())
	require.Equal(t, url.Values{"code": nil}, token[0].Query)
	require.Empty(t, token[0].Body)
	require.Equal(t, "/add/x%2Fy", add[0].Path)
	require.Equal(t, url.Values{"n": {"1"}}, add[0].Query)
	require.Equal(t, []string{"add", "POST", "Bearer", "!", "500"},
		[]string{add[0].Op, add[0].Method, add[0].Scheme, add[0].Body, fmt.Sprint(add[0].Status)})
	require.NotContains(t, fmt.Sprint(c.Requests()), "secret")

	answered, err := c.WaitFor(t.Context(), func(r fake.Request) bool { return r.Status == 500 })
	require.NoError(t, err)
	require.Equal(t, "add", answered.Op)
	c.FailNext(fake.Fault{Status: 500, Times: -1})
	c.Reset()
	require.Empty(t, c.Requests())
	_, body, err := c.add(t.Context(), "!")
	require.NoError(t, err)
	require.Equal(t, "added", body, "Reset drops the faults too")
}

func TestLongBodies(t *testing.T) {
	t.Parallel()
	c := start(t, fake.Config{InMemory: true})
	_, _, err := c.add(t.Context(), strings.Repeat("x", 1<<20))
	require.NoError(t, err)
	require.Len(t, c.done.All(), 1)
	resp, _, err := c.add(t.Context(), strings.Repeat("x", 1<<20+1))
	if err == nil { // or the connection had ended before all was sent
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	}
	require.Len(t, c.done.All(), 1)
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := start(t, fake.Config{TLS: true})
	c.FailNext(fake.Fault{Status: 500})
	resp, err := c.Browser().Get(c.URL() + "/page")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusFound, resp.StatusCode, "it neither fails nor is it followed")
	require.Empty(t, c.Requests(), "nor recorded")

	trusting := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(t, c.Certificate())}}
	defer trusting.CloseIdleConnections()
	resp, err = (&http.Client{Transport: trusting}).Get(c.URL() + "/token")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Nil(t, start(t, fake.Config{}).Certificate())
}

func TestServersThatCannotListen(t *testing.T) {
	t.Parallel()
	_, err := fake.NewServer(fake.Config{Kit: "countertest", Addr: "nonsense"})
	require.ErrorContains(t, err, "countertest: listen: ")
}
