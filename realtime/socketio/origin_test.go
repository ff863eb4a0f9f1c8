package socketio_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	list := func(_ *realtime.Config, wire *socketio.Config) {
		wire.AllowedOrigins = []string{"https://clinic.example", "http://LOCALHOST:5173", "https://default.example:443"}
	}
	anyone := func(_ *realtime.Config, wire *socketio.Config) { wire.AllowAnyOrigin = true }
	for _, test := range []struct {
		name   string
		config func(*realtime.Config, *socketio.Config)
		origin string
		want   string // Access-Control-Allow-Origin; empty: none; "403": refused
	}{
		{"zero value, own page", quickly, "own", ""},
		{"zero value, other page", quickly, "https://clinic.example", "403"},
		{"zero value, opaque page", quickly, "null", "403"},
		{"zero value, same host and other port", quickly, "http://127.0.0.1:1", "403"},
		{"zero value, name that ends like ours", quickly, "own.evil.example", "403"},
		{"listed", list, "https://clinic.example", "https://clinic.example"},
		{"listed in capitals", list, "http://localhost:5173", "http://localhost:5173"},
		{"listed with its default port", list, "https://default.example", "https://default.example"},
		{"own page beside a list", list, "own", ""},
		{"other scheme", list, "http://clinic.example", "403"},
		{"other port", list, "https://clinic.example:8443", "403"},
		{"subdomain", list, "https://a.clinic.example", "403"},
		{"prefix", list, "https://clinic.example.evil.example", "403"},
		{"user in front", list, "https://clinic.example@evil.example", "403"},
		{"opaque page", list, "null", "403"},
		{"garbage", list, "https://%zz", "403"},
		{"empty", list, "", "403"},
		{"any origin", anyone, "https://evil.example", "*"},
		{"any origin, opaque page", anyone, "null", "*"},
		{"any origin, own page", anyone, "own", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, test.config)
			origin := strings.Replace(test.origin, "own", c.url, 1)
			header := http.Header{"Origin": {origin}}
			for _, request := range []struct{ method, query string }{{"GET", "transport=polling"}, {"OPTIONS", "transport=polling"}} {
				got := c.request(t, request.method, request.query, "", header)
				require.Equal(t, "Origin", got.header.Get("Vary")[:6])
				if test.want == "403" {
					got.refused(t, 403, 4)
					require.Empty(t, got.header.Get("Access-Control-Allow-Origin"))
					continue
				}
				require.Less(t, got.status, 300)
				require.Equal(t, test.want, got.header.Get("Access-Control-Allow-Origin"))
				require.Equal(t, test.want != "" && test.want != "*", got.header.Get("Access-Control-Allow-Credentials") == "true")
			}

			client, err := realtimetest.Dial(within(t), c.url, realtimetest.Options{Header: header})
			if test.want == "403" {
				require.ErrorContains(t, err, "403")
				require.Less(t, c.hub.Stats().Connections, 1)
				return
			}
			require.NoError(t, err)
			require.NoError(t, client.Close())
		})
	}
}

func TestTwoOrigins(t *testing.T) {
	t.Parallel()
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) {
		wire.AllowedOrigins = []string{"https://clinic.example"}
	})
	header := http.Header{"Origin": {"https://clinic.example", "https://evil.example"}}
	c.request(t, "GET", "transport=polling", "", header).refused(t, 403, 4)
}

// An <img> of another page sends cookies and no Origin.
func TestNoOrigin(t *testing.T) {
	t.Parallel()
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) { wire.AllowAnyOrigin = true })
	for site, status := range map[string]int{"same-origin": 200, "none": 200, "same-site": 403, "cross-site": 403} {
		got := c.request(t, "GET", "transport=polling", "", http.Header{"Sec-Fetch-Site": {site}})
		require.Equal(t, status, got.status, site)
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) {
		wire.AllowedOrigins = []string{"https://clinic.example"}
	})
	got := c.request(t, "OPTIONS", "transport=polling", "", http.Header{
		"Origin":                         {"https://clinic.example"},
		"Access-Control-Request-Method":  {"POST"},
		"Access-Control-Request-Headers": {"authorization,content-type"},
	})
	require.Equal(t, 204, got.status)
	require.Equal(t, "https://clinic.example", got.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", got.header.Get("Access-Control-Allow-Credentials"))
	require.Equal(t, "GET, POST", got.header.Get("Access-Control-Allow-Methods"))
	require.Equal(t, "authorization,content-type", got.header.Get("Access-Control-Allow-Headers"))
	require.Equal(t, []string{"Origin", "Access-Control-Request-Headers"}, got.header.Values("Vary"))
}

// A page of a stranger brings its visitor's cookies along. They must not count.
func TestAnyOriginIsAnonymous(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t, whoami, func(_ *realtime.Config, wire *socketio.Config) {
				wire.AllowAnyOrigin, wire.AllowedOrigins = true, []string{"https://clinic.example"}
			})
			for origin, want := range map[string]string{"https://evil.example": `""`, "https://clinic.example": `"ada"`, "": `"ada"`} {
				header := cookie("ada")
				if origin != "" {
					header.Set("Origin", origin)
				}
				client := c.dial(t, realtimetest.Options{Transport: transport, Header: header})
				require.Equal(t, want, ack(t, client, "whoami"), origin)
			}

			ada := c.openPolling(t, cookie("ada"))
			ada.header = cookie("ada")
			ada.header.Set("Origin", "https://evil.example")
			ada.get(t).refused(t, 400, 1)
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	hub, err := realtime.NewHub(realtime.Config{})
	require.NoError(t, err)

	_, err = socketio.New(socketio.Config{Hub: hub})
	require.NoError(t, err)

	for _, origin := range []string{
		"*", "https://*", "https://*.clinic.example", "clinic.example", "https://clinic.example/", "https://clinic.example/a",
		"https://u:p@clinic.example", "https://clinic.example?x", "ftp://clinic.example", "null", "", "https://", "https://:443", "file:///x", "https://आशा.example",
	} {
		_, err := socketio.New(socketio.Config{Hub: hub, AllowedOrigins: []string{origin}})
		require.ErrorIs(t, err, telemed.ErrInvalid, "%q", origin)
		require.Equal(t, "AllowedOrigins", telemed.Fields(err)[0].Field)
	}

	_, err = socketio.New(socketio.Config{
		AllowedOrigins: []string{"*"},
		Joins:          []socketio.Join{{Event: "a", Leave: "a", Prefix: "x-"}, {Leave: "b"}},
		PingInterval:   -1, PingTimeout: -1, UpgradeTimeout: -1, WriteTimeout: -1, MaxPayload: -1,
		ConnectTimeout: -1, HandlerTimeout: -1, MaxAttachments: -1,
		Namespaces: map[string]socketio.Namespace{"staff": {Joins: []socketio.Join{{Event: "a"}}, Prefix: "\n"}},
	})
	var fields []string
	for _, field := range telemed.Fields(err) {
		fields = append(fields, field.Field)
	}
	require.Equal(t, []string{
		"Authorize", "HandlerTimeout", "MaxAttachments", "Joins", "Joins.Event", "Joins.Prefix",
		"Namespaces", "Namespaces.Joins.Prefix", "Namespaces.Prefix", "AllowedOrigins",
		"PingInterval", "PingTimeout", "ConnectTimeout", "UpgradeTimeout", "WriteTimeout", "MaxPayload",
	}, fields)
}
