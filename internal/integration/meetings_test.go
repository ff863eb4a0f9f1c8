package integration_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// TestMeetings runs the suite of meetings over two clients of Zoom. They have a pool each,
// as two processes have, and share the tables in which tokens and Keys are kept.
func TestMeetings(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dsn := d.dsn(t)
			db := d.open(t, dsn)
			meettest.Run(t, func(t *testing.T) meettest.Harness {
				cfg := seal(d.tables(t, db), newKeyring(t))
				return zoomHarness(t, func() *sqlstore.Store {
					h := d.openHandle(t, dsn, cfg)
					t.Cleanup(func() { require.NoError(t, h.Close()) })
					return h.Store
				})
			})
		})
	}
}

// zoomHarness is two clients of one Zoom, whose list lags, for a doctor with two accounts.
func zoomHarness(t *testing.T, open func() *sqlstore.Store) meettest.Harness {
	t.Helper()
	private := zoomtest.User{ID: "u-private", AccountID: "a-private"}
	fake := zoomtest.NewServer(t, zoomtest.Config{ListLag: time.Second, Users: []zoomtest.User{zoomtest.DefaultUser(), private}})
	client := func() (*zoom.Client, store.TokenStore) {
		tokens := open()
		z, err := zoom.New(zoom.Config{
			ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), RedirectURL: "http://127.0.0.1:3001/callback",
			Tokens: tokens, Endpoints: fake.Endpoints(), LookAfter: time.Millisecond, HTTPClient: fake.Client(),
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, z.Shutdown(context.WithoutCancel(t.Context()))) })
		return z, tokens
	}
	first, tokens := client()
	second, _ := client()
	connect := func(t *testing.T, userID string) {
		t.Helper()
		verifier := oauth2.GenerateVerifier()
		back, err := fake.AuthorizeAs(first.OAuth().AuthCodeURL("state", verifier), userID)
		require.NoError(t, err)
		u, err := url.Parse(back)
		require.NoError(t, err)
		token, err := first.OAuth().Exchange(t.Context(), u.Query().Get("code"), verifier)
		require.NoError(t, err)
		require.NoError(t, store.Set(t.Context(), tokens, store.AccountID{Provider: zoom.ProviderName, Subject: "dr-rao"}, token))
	}
	connect(t, zoomtest.DefaultUser().ID)
	lose := func(fault zoomtest.Fault) func() { return func() { fake.FailNext(fault) } }
	return meettest.Harness{
		Provider: first, Second: second, DoctorID: "dr-rao", Stranger: "dr-who",
		Losses: map[string]func(){
			"the answer of create":  lose(zoomtest.Fault{Op: zoomtest.OpCreate, LoseAnswer: true}),
			"the request of create": lose(zoomtest.Fault{Op: zoomtest.OpCreate, LoseRequest: true}),
			"the answer of delete":  lose(zoomtest.Fault{Op: zoomtest.OpDelete, LoseAnswer: true, Times: 3}),
			"a gateway's 404":       lose(zoomtest.Fault{Status: http.StatusNotFound, Body: "<html>"}),
		},
		Live: func() int {
			live := 0
			for _, m := range fake.Meetings() {
				if !m.Deleted {
					live++
				}
			}
			return live
		},
		Reconnect: func(t *testing.T) { t.Helper(); connect(t, private.ID) },
	}
}
