package local_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/examples/internal/local"
)

// everything returns providers that all run.
func everything(t *testing.T) *local.Providers {
	t.Helper()
	var p local.Providers
	t.Cleanup(p.Close)
	_, err := p.Environ()
	require.NoError(t, err)
	return &p
}

// TestFaults: each kind can wait at each operation of each provider, and is told in the
// words in which it was asked for.
func TestFaults(t *testing.T) {
	t.Parallel()
	p := everything(t)
	var want []local.Fault
	for _, provider := range local.Names() {
		require.NotEmpty(t, local.Operations(provider))
		for _, op := range append(local.Operations(provider), "") {
			for _, kind := range local.Kinds() {
				f := local.Fault{Provider: provider, Op: op, Kind: kind, Times: 2}
				if kind == "delay" {
					f.Delay = time.Second
				}
				require.NoError(t, p.FailNext(f), f)
				want = append(want, f)
			}
		}
	}
	got := p.Pending()
	for i := range got {
		got[i].Status = 0
	}
	require.Equal(t, want, got)
	require.NoError(t, p.FailNext(local.Fault{Provider: local.Mail, Kind: "limit"}))
	p.ClearFaults()
	require.Empty(t, p.Pending())
}

func TestFaultsThatAreNone(t *testing.T) {
	t.Parallel()
	p := everything(t)
	for want, f := range map[string]local.Fault{
		`provider: "paypal" is none of google`: {Provider: "paypal", Kind: "fail"},
		`op: "send" is none of connect`:        {Provider: local.Mail, Op: "send", Kind: "fail"},
		`kind: "" is none of fail`:             {Provider: local.Mail},
		"status: is not from":                  {Provider: local.Zoom, Kind: "fail", Status: 200},
		"delay: is required":                   {Provider: local.Zoom, Kind: "delay"},
	} {
		require.ErrorContains(t, p.FailNext(f), want)
	}
	require.Empty(t, p.Pending())
	require.ErrorContains(t, new(local.Providers).FailNext(local.Fault{Provider: local.Zoom, Kind: "hang"}), "zoom does not run here")
}

func ask(t *testing.T, address, contentType, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer hunter2-authorization")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
}

// TestWire: what went over the wire is in its order, and nothing secret is in it, whatever a
// client sends where.
func TestWire(t *testing.T) {
	t.Parallel()
	p := everything(t)
	const form, document = "application/x-www-form-urlencoded", "application/json"
	ask(t, p.Zoom.Endpoints().Token, form, "grant_type=refresh_token&refresh_token=hunter2&client_secret=hunter2")
	ask(t, p.Google.Endpoints().Token, form, "code=hunter2&code_verifier=hunter2")
	ask(t, p.Google.URL()+"/calendar/v3/calendars/primary/events?access_token=hunter2", document, `{"summary":"Visit"}`)
	ask(t, p.Zoom.URL()+"/v2/users/me/meetings", document, `{"topic":"Visit","password": "hunter2"}`)
	ask(t, p.Razorpay.URL()+"/v1/orders", form, "amount=1&webhook_secret=hunter2")
	ask(t, p.WhatsApp.URL()+"/v23.0/1/messages?access_token=hunter2", document,
		`{"to":"919876543210","template":{"name":"one_time_password","components":[{"parameters":[{"type":"text","text":"hunter2"}]}]}}`)
	wire := p.Wire()
	require.Len(t, wire, 6)
	var order []string
	for _, e := range wire {
		order = append(order, e.Provider)
		require.False(t, e.At.IsZero())
		require.GreaterOrEqual(t, e.Status, 400, "nobody is logged in")
	}
	require.Equal(t, "zoom google google zoom razorpay whatsapp", strings.Join(order, " "))
	require.NotContains(t, fmt.Sprintf("%+v", wire), "hunter2")
	require.Contains(t, wire[2].Body, "Visit")
	last := local.Exchange{Provider: local.Zoom, Webhook: true, Body: `{"password":"hunter2"}`, At: time.Now()}
	latest, before := p.Latest(2, last)
	require.Equal(t, 5, before)
	require.Equal(t, wire[5], latest[0])
	require.Equal(t, `{"password":"…"}`, latest[1].Body, "what others add is made safe too")
	p.Reset()
	require.Empty(t, p.Wire())
}
