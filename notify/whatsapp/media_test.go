package whatsapp_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

func TestMedia(t *testing.T) {
	srv := whatsapptest.NewServer(t)
	c := newClient(t, config(srv))
	id, err := c.Upload(t.Context(), notify.File{Name: "r.pdf", ContentType: "application/pdf", Data: []byte("%PDF")})
	require.NoError(t, err)
	file, err := c.Download(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, &notify.File{ContentType: "application/pdf", Data: []byte("%PDF")}, file)
	require.NoError(t, c.DeleteMedia(t.Context(), id))
	_, err = c.Download(t.Context(), id)
	require.ErrorIs(t, err, telemed.ErrNotFound)
	require.ErrorIs(t, c.DeleteMedia(t.Context(), id), telemed.ErrNotFound)
}

// files is Meta, and where it sends those who want a file.
type files struct {
	t    *testing.T
	at   map[string]func() *http.Response // by address
	seen map[string]string                // address, Authorization
}

func (f *files) RoundTrip(r *http.Request) (*http.Response, error) {
	f.seen[r.URL.String()] = r.Header.Get("Authorization")
	if r.URL.Host == "graph.facebook.com" && r.URL.Path == "/v24.0/1" {
		r.URL.RawQuery = ""
	}
	answer, known := f.at[r.URL.String()]
	require.True(f.t, known, r.URL)
	return answer(), nil
}

func at(location string) func() *http.Response {
	return func() *http.Response { return answer(302, "", "Location", location) }
}

const (
	graph     = "https://graph.facebook.com/v24.0/1"
	lookaside = "https://lookaside.fbsbx.com/f"
)

// TestTokenGoesToMetaAlone: a file may be elsewhere, and is then fetched without the token.
// A file that Meta itself says to be elsewhere is not fetched at all.
func TestTokenGoesToMetaAlone(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("%PDF"))
	where := func(address string) func() *http.Response {
		return func() *http.Response {
			return answer(200, `{"url":"`+address+`","mime_type":"application/pdf","sha256":"`+hex.EncodeToString(sum[:])+`"}`)
		}
	}
	file := func() *http.Response { return answer(200, "%PDF") }
	const token = "Bearer t"
	for name, c := range map[string]struct {
		at   map[string]func() *http.Response
		want error
		seen map[string]string
	}{
		"at Meta": {map[string]func() *http.Response{graph: where(lookaside), lookaside: file}, nil, map[string]string{lookaside: token}},
		"a hash as webhooks write it": {
			map[string]func() *http.Response{graph: func() *http.Response {
				return answer(200, `{"url":"`+lookaside+`","sha256":"`+base64.StdEncoding.EncodeToString(sum[:])+`"}`)
			}, lookaside: file}, nil, map[string]string{lookaside: token},
		},
		"elsewhere":   {map[string]func() *http.Response{graph: where("https://evil.example/f")}, telemed.ErrUnavailable, nil},
		"a port":      {map[string]func() *http.Response{graph: where("https://lookaside.fbsbx.com:8443/f")}, telemed.ErrUnavailable, nil},
		"not https":   {map[string]func() *http.Response{graph: where("http://lookaside.fbsbx.com/f")}, telemed.ErrUnavailable, nil},
		"a user":      {map[string]func() *http.Response{graph: where("https://x@lookaside.fbsbx.com/f")}, telemed.ErrUnavailable, nil},
		"a subdomain": {map[string]func() *http.Response{graph: where("https://graph.facebook.com.evil.example/f")}, telemed.ErrUnavailable, nil},
		"redirected": {
			map[string]func() *http.Response{graph: where(lookaside), lookaside: at("https://cdn.example/f"), "https://cdn.example/f": file},
			nil, map[string]string{lookaside: token, "https://cdn.example/f": ""},
		},
		"below Meta's own host": {
			map[string]func() *http.Response{graph: where(lookaside), lookaside: at("https://x.lookaside.fbsbx.com/f"), "https://x.lookaside.fbsbx.com/f": file},
			nil, map[string]string{lookaside: token, "https://x.lookaside.fbsbx.com/f": ""},
		},
		"there and back": {
			map[string]func() *http.Response{
				graph: where(lookaside), lookaside: at("https://cdn.example/f"), "https://cdn.example/f": at("https://graph.facebook.com/f"),
				"https://graph.facebook.com/f": file,
			},
			nil, map[string]string{lookaside: token, "https://cdn.example/f": "", "https://graph.facebook.com/f": token},
		},
		"redirected to plain http": {
			map[string]func() *http.Response{graph: where(lookaside), lookaside: at("http://127.0.0.1/f")}, telemed.ErrUnavailable, map[string]string{lookaside: token},
		},
		"in a circle": {
			map[string]func() *http.Response{graph: where(lookaside), lookaside: at(lookaside)}, telemed.ErrUnavailable, map[string]string{lookaside: token},
		},
		"another file": {
			map[string]func() *http.Response{graph: where(lookaside), lookaside: func() *http.Response { return answer(200, "%PDF-forged") }},
			telemed.ErrUnavailable, map[string]string{lookaside: token},
		},
		"gone": {
			map[string]func() *http.Response{graph: where(lookaside), lookaside: func() *http.Response { return answer(404, "") }},
			telemed.ErrNotFound, map[string]string{lookaside: token},
		},
		"refused": {
			map[string]func() *http.Response{graph: where(lookaside), lookaside: func() *http.Response { return answer(401, "") }},
			telemed.ErrUnauthorized, map[string]string{lookaside: token},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := &files{t: t, at: c.at, seen: map[string]string{}}
			client := newClient(t, whatsapp.Config{PhoneNumberID: "1", Token: telemed.NewSecret("t"), HTTPClient: &http.Client{Transport: all}})
			got, err := client.Download(t.Context(), "1")
			if c.want == nil {
				require.NoError(t, err)
				require.Equal(t, "%PDF", string(got.Data))
			} else {
				require.ErrorIs(t, err, c.want)
			}
			delete(all.seen, graph+"?phone_number_id=1")
			require.Equal(t, len(c.seen), len(all.seen), "%v", all.seen)
			for address, authorization := range c.seen {
				require.Equal(t, authorization, all.seen[address], address)
			}
		})
	}
}

// TestAFileThatNeverEnds: a client of the application's without a Timeout waits for the bytes
// of a file for five minutes, and not for ever.
func TestAFileThatNeverEnds(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]time.Duration{0: 5 * time.Minute, time.Hour: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			hang := roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host == "graph.facebook.com" {
					return answer(200, `{"url":"`+lookaside+`"}`), nil
				}
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			c := newClient(t, whatsapp.Config{PhoneNumberID: "1", Token: telemed.NewSecret("t"), HTTPClient: &http.Client{Transport: hang, Timeout: timeout}})
			ctx, cancel := context.WithTimeoutCause(t.Context(), 24*time.Hour, errors.New("for ever"))
			defer cancel()
			begin := time.Now()
			_, err := c.Download(ctx, "1")
			require.ErrorIs(t, err, telemed.ErrUnavailable)
			require.Equal(t, want, time.Since(begin))
		})
	}
}

// TestWhatIsNotThere: what is looked up is not found; a message's number or template is wrong.
func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"an object":  `{"error":{"code":100,"error_subcode":33}}`,
		"a template": `{"error":{"code":100,"error_subcode":2593002}}`,
	} {
		c := offline(t, func(cfg *whatsapp.Config) { cfg.BusinessAccountID = "2" }, func(*http.Request) (*http.Response, error) { return answer(400, body), nil })
		_, err := c.Download(t.Context(), "1")
		require.ErrorIs(t, err, telemed.ErrNotFound, name)
		require.ErrorIs(t, c.DeleteTemplate(t.Context(), "x"), telemed.ErrNotFound, name)
		_, err = c.Send(t.Context(), whatsapp.Outbound{To: phone, Content: whatsapp.Text("x", false)})
		require.ErrorIs(t, err, telemed.ErrInvalid, name)
		require.NotErrorIs(t, err, telemed.ErrNotFound, name)
	}
	c := offline(t, nil, func(*http.Request) (*http.Response, error) { return answer(404, `{"error":{"code":2500}}`), nil })
	require.ErrorIs(t, c.DeleteMedia(t.Context(), "1"), telemed.ErrNotFound)
	c = offline(t, nil, func(*http.Request) (*http.Response, error) { return answer(400, `{"error":{"code":100}}`), nil })
	require.ErrorIs(t, c.DeleteMedia(t.Context(), "1"), telemed.ErrInvalid)
}
