package whatsapptest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// A call as Meta's documentation has it, without this module's client.
const call = `{"messaging_product":"whatsapp","to":"+919876543210","type":"template","biz_opaque_callback_data":"ref",
	"template":{"name":"appointment_cancelled","language":{"code":"en"},"components":[{"type":"body","parameters":[
	{"type":"text","text":"Asha"},{"type":"text","text":"Dr M"},{"type":"text","text":"Monday"},{"type":"text","text":"City Clinic"}]}]}}`

func send(t *testing.T, srv *whatsapptest.Server, body string, change func(*http.Request)) (int, int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+"/v24.0/"+srv.PhoneNumberID()+"/messages", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+srv.Token().Reveal())
	req.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var envelope struct{ Error struct{ Code int } }
	require.NoError(t, json.Unmarshal(data, &envelope), string(data))
	return resp.StatusCode, envelope.Error.Code
}

func TestChecks(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	replace := func(old, fresh string) string {
		require.Contains(t, call, old)
		return strings.Replace(call, old, fresh, 1)
	}
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
		code   int
	}{
		"no token":           {call, func(r *http.Request) { r.Header.Del("Authorization") }, 401, 190},
		"other token":        {call, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, 190},
		"no version":         {call, func(r *http.Request) { r.URL.Path = "/latest/" + srv.PhoneNumberID() + "/messages" }, 400, 2635},
		"other number":       {call, func(r *http.Request) { r.URL.Path = "/v24.0/1/messages" }, 400, 100},
		"other path":         {call, func(r *http.Request) { r.URL.Path = "/v24.0/1/nothing" }, 404, 2500},
		"not JSON":           {call, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400, 100},
		"cut":                {call[:50], nil, 400, 100},
		"product":            {replace(`"whatsapp"`, `"messenger"`), nil, 400, 100},
		"recipient":          {replace("+919876543210", "09876"), nil, 400, 131009},
		"text":               {replace(`"type":"template"`, `"type":"text"`), nil, 400, 131047},
		"no template":        {replace(`"template":{`, `"x":{`), nil, 400, 131008},
		"unknown template":   {replace("appointment_cancelled", "appointment_lost"), nil, 404, 132001},
		"unknown language":   {replace(`"en"`, `"kn"`), nil, 404, 132001},
		"too few parameters": {replace(`,{"type":"text","text":"City Clinic"}`, ``), nil, 400, 132000},
		"too many":           {replace(`{"type":"text","text":"Asha"}`, `{"type":"text","text":"a"},{"type":"text","text":"b"}`), nil, 400, 132000},
		"line break":         {replace("Dr M", `Dr\nM`), nil, 400, 132018},
		"spaces":             {replace("Dr M", `Dr    M`), nil, 400, 132018},
		"empty parameter":    {replace("Dr M", ``), nil, 400, 131008},
		"currency parameter": {replace(`"type":"text","text":"Asha"`, `"type":"currency"`), nil, 400, 132012},
		"header":             {replace(`"type":"body"`, `"type":"header"`), nil, 400, 132018},
		"unexpected key":     {replace(`"language":{`, `"language":{"policystring":"deterministic",`), nil, 400, 100},
		"key far below":      {replace(`"text":"Asha"`, `"text":"Asha","txt":"x"`), nil, 400, 100},
		"to a group":         {replace(`"type":"template"`, `"recipient_type":"group","type":"template"`), nil, 400, 100},
		"receipt of nothing": {`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.X"}`, nil, 400, 131009},
		"long reference":     {replace(`"ref"`, `"`+strings.Repeat("x", 513)+`"`), nil, 400, 100},
	} {
		status, code := send(t, srv, c.body, c.change)
		require.Equal(t, []int{c.status, c.code}, []int{status, code}, name)
	}
	require.Empty(t, srv.Messages())

	status, _ := send(t, srv, call, nil)
	require.Equal(t, 200, status)
	got := srv.Messages()
	require.Len(t, got, 1)
	require.Equal(t, "Hello Asha,\n\nYour video consultation will not take place.\n\nDoctor: Dr M\nPlanned time: Monday\n\n"+
		"This message was sent automatically by City Clinic. Please do not send medical details in an answer.", got[0].Text)
	require.Equal(t, []string{"+919876543210", "appointment_cancelled", "en", "ref"}, []string{got[0].To, got[0].Template, got[0].Language, got[0].Reference})
	require.JSONEq(t, call, string(got[0].Request))
}

// TestWindow: who has written may be answered with free text for 24 hours, and told that
// it was read.
func TestWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := whatsapptest.NewServer(t, whatsapptest.Config{InMemory: true, WebhookURL: "http://clinic.example/", HTTPClient: taker})
		require.NoError(t, srv.SendText(t.Context(), "+919876543210", "Asha", "Hello"))
		post := func(body string) int {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+"/v18.0/"+srv.PhoneNumberID()+"/messages", strings.NewReader(body))
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+srv.Token().Reveal())
			req.Header.Set("Content-Type", "application/json")
			resp, err := srv.Client().Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			return resp.StatusCode
		}
		text := func(to string) string {
			return `{"messaging_product":"whatsapp","to":"` + to + `","type":"text","text":{"body":"At ten"},"context":{"message_id":"wamid.1"}}`
		}
		require.Equal(t, 200, post(text("919876543210")))
		require.Equal(t, "At ten", srv.Messages()[0].Text)
		require.Equal(t, 400, post(text("919876543211")), "who has not written")
		require.Equal(t, 400, post(strings.Replace(text("919876543210"), "At ten", "", 1)))
		require.Equal(t, 200, post(`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.INBOUND00000001","typing_indicator":{"type":"text"}}`))
		require.Equal(t, 400, post(`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.OTHER"}`))
		require.Len(t, srv.Messages(), 1)
		time.Sleep(24 * time.Hour)
		require.Equal(t, 400, post(text("919876543210")))
	})
}

// taker takes webhooks.
var taker = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
})}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestOwnTemplateGoesBeforeTheBuiltin(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t, whatsapptest.Config{Templates: []whatsapptest.Template{
		{Name: "appointment_cancelled", Language: "en", Body: "{{2}} and {{1}}, {{4}} and {{3}}"},
	}})
	status, _ := send(t, srv, strings.Replace(call, "Dr M", "{{1}}", 1), nil)
	require.Equal(t, 200, status)
	require.Equal(t, "{{1}} and Asha, City Clinic and Monday", srv.Messages()[0].Text, "values are not templates")
}

func TestFaults(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	srv.FailNext(whatsapptest.Refuse("", 0, 0, ""), whatsapptest.Refuse(whatsapptest.OpSend, 403, 131048, ""))
	for _, want := range [][]int{{401, 0}, {403, 131048}, {200, 0}} {
		status, code := send(t, srv, call, nil)
		require.Equal(t, want, []int{status, code})
	}
	raw := func(f whatsapptest.Fault) (int, string, error) {
		srv.FailNext(f)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+"/v24.0/"+srv.PhoneNumberID()+"/messages", strings.NewReader(call))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+srv.Token().Reveal())
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
	status, body, err := raw(whatsapptest.Fault{Status: 500})
	require.NoError(t, err)
	require.Equal(t, []any{500, ""}, []any{status, body})
	status, body, err = raw(whatsapptest.Fault{Status: 502, Body: "<html>"})
	require.NoError(t, err)
	require.Equal(t, 502, status)
	require.Contains(t, body, "<html>")
	status, body, err = raw(whatsapptest.Fault{Status: 200})
	require.NoError(t, err)
	require.Equal(t, []any{200, ""}, []any{status, body})
	_, _, err = raw(whatsapptest.Fault{LoseRequest: true})
	require.Error(t, err)
	require.Len(t, srv.Messages(), 1)
	_, _, err = raw(whatsapptest.Fault{LoseAnswer: true})
	require.Error(t, err)
	require.Len(t, srv.Messages(), 2)
	require.Equal(t, 8, srv.Count(whatsapptest.OpSend))
	require.Equal(t, []string{"Bearer", "200"}, []string{srv.Requests()[2].Scheme, strconv.Itoa(srv.Requests()[2].Status)})
	srv.Reset()
	require.Empty(t, srv.Messages())
	require.Empty(t, srv.Requests(whatsapptest.OpSend))
}

func TestWaitFor(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	found := make(chan whatsapptest.Message, 1)
	go func() {
		m, err := srv.WaitFor(t.Context(), func(m whatsapptest.Message) bool { return strings.Contains(m.Text, "Bela") })
		if err == nil {
			found <- m
		}
		close(found)
	}()
	send(t, srv, call, nil)
	send(t, srv, strings.Replace(call, "Asha", "Bela", 1), nil)
	require.Contains(t, (<-found).Text, "Hello Bela")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := srv.WaitFor(ctx, func(whatsapptest.Message) bool { return false })
	require.ErrorIs(t, err, context.Canceled)
}

func TestStatusesBySelf(t *testing.T) {
	t.Parallel()
	states := make(chan string, 8)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("X-Hub-Signature-256") != "sha256="+signature.Hex([]byte("s"), body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var n struct {
			Entry []struct {
				Changes []struct {
					Value struct{ Statuses []struct{ ID, Status string } }
				}
			}
		}
		if json.Unmarshal(body, &n) == nil {
			s := n.Entry[0].Changes[0].Value.Statuses[0]
			states <- s.ID + " " + s.Status
		}
	}))
	t.Cleanup(host.Close)
	srv := whatsapptest.NewServer(t, whatsapptest.Config{AppSecret: "s", WebhookURL: host.URL, Statuses: []string{"sent", "delivered"}})
	send(t, srv, call, nil)
	id := srv.Messages()[0].ID
	require.Equal(t, id+" sent", <-states)
	require.Equal(t, id+" delivered", <-states)
	require.Error(t, srv.SendStatus(t.Context(), "wamid.other", "read"))
	srv.SetWebhookURL("")
	require.Error(t, srv.SendStatus(t.Context(), id, "read"))
}

// TestCloseEndsEverything closes a server while a request hangs and a webhook is not
// answered.
func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	host := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}))
	t.Cleanup(host.Close)
	t.Cleanup(func() { close(release) })
	srv, err := whatsapptest.Start(whatsapptest.Config{WebhookURL: host.URL, Statuses: []string{"sent"}})
	require.NoError(t, err)
	send(t, srv, call, nil)
	<-arrived
	srv.Close()
	srv.Close() // twice is fine
	require.ErrorContains(t, srv.SendText(t.Context(), "+919876543210", "Asha", "x"), "closed")
}

// failing is a TB that notes a failure.
type failing struct{ cleanups atomic.Int32 }

func (*failing) Helper()               {}
func (f *failing) Cleanup(func())      { f.cleanups.Add(1) }
func (*failing) Fatalf(string, ...any) {}

func TestNewServerClosesItself(t *testing.T) {
	t.Parallel()
	var tb failing
	srv := whatsapptest.NewServer(&tb)
	require.EqualValues(t, 1, tb.cleanups.Load())
	srv.Close()
}

func ExampleServer_FailNext() {
	srv, err := whatsapptest.Start(whatsapptest.Config{})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	srv.FailNext(whatsapptest.Refuse(whatsapptest.OpSend, 0, 190, "Session has expired"))
	resp, err := http.Post(srv.URL()+"/v24.0/"+srv.PhoneNumberID()+"/messages", "application/json", strings.NewReader("{}"))
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output: 401
}
