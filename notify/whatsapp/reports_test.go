package whatsapp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// told is an application that keeps what is reported.
type told struct {
	reports []notify.Report
	fail    error
}

func (t *told) report(_ context.Context, r notify.Report) error {
	t.reports = append(t.reports, r)
	return t.fail
}

// reporting returns a client that takes reports, without an API.
func reporting(tb testing.TB, change ...func(*whatsapp.Config)) *whatsapp.Client {
	tb.Helper()
	return offline(tb, func(cfg *whatsapp.Config) {
		cfg.WebhookSecrets, cfg.VerifyToken = []telemed.Secret{telemed.NewSecret(appSecret)}, telemed.NewSecret("verify-me")
		for _, f := range change {
			f(cfg)
		}
	}, nil)
}

func TestReportsOfStatuses(t *testing.T) {
	t.Parallel()
	var app told
	ref := notify.Reference("appt-42/confirmed")
	body := webhook("messages", `{`+meta+`,"statuses":[
		{"id":"wamid.1","status":"sent","timestamp":"1750091044","recipient_id":"919876500042","biz_opaque_callback_data":"`+ref+`"},
		{"id":"wamid.1","status":"delivered","biz_opaque_callback_data":"`+ref+`"},
		{"id":"wamid.1","status":"read","biz_opaque_callback_data":"`+ref+`"},
		{"id":"wamid.1","status":"played","biz_opaque_callback_data":"`+ref+`"},
		{"id":"wamid.1","status":"warning","biz_opaque_callback_data":"`+ref+`"},
		{"id":"wamid.2","status":"failed","biz_opaque_callback_data":"crm:919876500042","errors":[{"code":131026,"title":"to 919876500042"}]}]}`)
	require.Equal(t, 200, post(reporting(t).Reports(app.report), body, signed(body)).Code)
	require.Len(t, app.reports, 5, "a warning says nothing of the message")
	require.Equal(t, notify.Report{
		Channel: notify.WhatsApp, Reference: ref, ID: "wamid.1", State: notify.ReportSent, At: time.Unix(1750091044, 0).UTC(),
		KnownAs: []string{phone},
	}, app.reports[0])
	for i, want := range []notify.ReportState{notify.ReportSent, notify.ReportDelivered, notify.ReportRead, notify.ReportRead, notify.ReportFailed} {
		require.Equal(t, want, app.reports[i].State)
		require.Equal(t, want == notify.ReportFailed, app.reports[i].Err != nil, "%s", want)
	}
	failed := app.reports[4]
	require.ErrorIs(t, failed.Err, notify.ErrRecipient)
	require.Empty(t, failed.Reference, "somebody else's data is no Reference")
	require.NotContains(t, fmt.Sprintf("%+v %v", failed, failed.Err), "919876500042")
}

// TestMarketingThatIsNotWanted: Meta did not deliver a message because the person wants no
// marketing. It has failed, and says nothing about the reminder of a visit.
func TestMarketingThatIsNotWanted(t *testing.T) {
	t.Parallel()
	var app told
	body := webhook("messages", `{`+meta+`,"statuses":[{"id":"wamid.1","status":"failed","recipient_id":"919876500042","errors":[{"code":131050}]}]}`)
	require.Equal(t, 200, post(reporting(t).Reports(app.report), body, signed(body)).Code)
	require.Len(t, app.reports, 1)
	require.Equal(t, notify.ReportFailed, app.reports[0].State)
	require.ErrorIs(t, app.reports[0].Err, notify.ErrRecipient)
}

// inbound is a webhook with one message from a person.
func inbound(kind, rest string) string {
	return webhook("messages", `{`+meta+`,"messages":[{"id":"wamid.9","from":"919876500042","timestamp":"1750091045","type":"`+kind+`",`+rest+`}]}`)
}

func TestReportsOfStops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want bool
	}{
		"a text":                  {inbound("text", `"text":{"body":" Stop. "}`), true},
		"in Hindi":                {inbound("text", `"text":{"body":"बंद करो।"}`), true},
		"Meta's button":           {inbound("button", `"button":{"text":"Stop promotions","payload":"Stop promotions"}`), true},
		"a button's payload":      {inbound("button", `"button":{"text":"நிறுத்து","payload":"STOP"}`), true},
		"an interactive button":   {inbound("interactive", `"interactive":{"button_reply":{"id":"unsubscribe","title":"No more"}}`), true},
		"a sentence":              {inbound("text", `"text":{"body":"please don't stop"}`), false},
		"an answer about a visit": {inbound("text", `"text":{"body":"cancel"}`), false},
		"a caption":               {inbound("image", `"image":{"caption":"stop"}`), false},
		"a reaction":              {inbound("reaction", `"reaction":{"message_id":"wamid.1","emoji":"stop"}`), false},
		"marketing is not wanted": {webhook("user_preferences", `{"user_preferences":[{"wa_id":"919876500042","category":"marketing_messages","value":"stop"}]}`), false},
	} {
		var app told
		require.Equal(t, 200, post(reporting(t).Reports(app.report), c.body, signed(c.body)).Code, name)
		if !c.want {
			require.Empty(t, app.reports, name)
			continue
		}
		require.Equal(t, []notify.Report{{
			Channel: notify.WhatsApp, State: notify.ReportStopped, Address: phone, At: time.Unix(1750091045, 0).UTC(),
		}}, app.reports, name)
	}
}

// TestStopOfAHiddenNumber: the person is known by Meta's id, and the message that was
// answered says whose it was.
func TestStopOfAHiddenNumber(t *testing.T) {
	t.Parallel()
	var app told
	body := webhook("messages", `{`+meta+`,"messages":[{"id":"wamid.9","from_user_id":"IN.123","type":"button",
		"context":{"id":"wamid.1"},"button":{"text":"Unsubscribe"}}]}`)
	require.Equal(t, 200, post(reporting(t).Reports(app.report), body, signed(body)).Code)
	require.Equal(t, []notify.Report{{Channel: notify.WhatsApp, State: notify.ReportStopped, ID: "wamid.1", Address: "IN.123"}}, app.reports)
}

// TestStopOfAPersonWithBoth: a person is known by the number and by Meta's id.
func TestStopOfAPersonWithBoth(t *testing.T) {
	t.Parallel()
	var app told
	body := webhook("messages", `{`+meta+`,"messages":[{"id":"wamid.9","from":"919876500042","from_user_id":"IN.123","type":"text","text":{"body":"stop"}}]}`)
	require.Equal(t, 200, post(reporting(t).Reports(app.report), body, signed(body)).Code)
	require.Equal(t, []notify.Report{{Channel: notify.WhatsApp, State: notify.ReportStopped, Address: phone, KnownAs: []string{"IN.123"}}}, app.reports)
}

// TestReportsOfChanges: who has another number or user id, as far as Meta says it.
func TestReportsOfChanges(t *testing.T) {
	t.Parallel()
	const fresh = "+919876500043"
	for name, c := range map[string]struct {
		message string
		want    *notify.Report
	}{
		"number": {
			`"from":"919876500042","type":"system","system":{"type":"user_changed_number","wa_id":"919876500043"}`,
			&notify.Report{Address: phone, NewAddress: fresh},
		},
		"number, in an older form": {
			`"from":"919876500042","type":"system","system":{"type":"customer_changed_number","new_wa_id":919876500043}`,
			&notify.Report{Address: phone, NewAddress: fresh},
		},
		"number, and the id stays": {
			`"from":"919876500042","from_user_id":"IN.1","type":"system","system":{"type":"user_changed_number","wa_id":"919876500043"}`,
			&notify.Report{Address: phone, NewAddress: fresh, KnownAs: []string{"IN.1"}},
		},
		"number and id": {
			`"from":"919876500042","from_user_id":"IN.1","type":"system","system":{"type":"user_changed_number","wa_id":"919876500043","user_id":"IN.2"}`,
			&notify.Report{Address: phone, NewAddress: fresh, KnownAs: []string{"IN.2"}},
		},
		"id": {
			`"from":"919876500042","from_user_id":"IN.1","type":"system","system":{"type":"user_changed_user_id","user_id":"IN.2"}`,
			&notify.Report{Address: "IN.1", NewAddress: "IN.2", KnownAs: []string{phone}},
		},
		"nobody knows whose": {`"type":"system","system":{"type":"user_changed_number","wa_id":"919876500043"}`, nil},
		"to nowhere":         {`"from":"919876500042","type":"system","system":{"type":"user_changed_number"}`, nil},
		"not by Meta":        {`"from":"919876500042","type":"text","system":{"type":"user_changed_number","wa_id":"919876500043"}`, nil},
	} {
		var app told
		body := webhook("messages", `{`+meta+`,"messages":[{"id":"wamid.9",`+c.message+`}]}`)
		require.Equal(t, 200, post(reporting(t).Reports(app.report), body, signed(body)).Code, name)
		if c.want == nil {
			require.Empty(t, app.reports, name)
			continue
		}
		c.want.Channel, c.want.State = notify.WhatsApp, notify.ReportMoved
		require.Equal(t, []notify.Report{*c.want}, app.reports, name)
	}
}

func TestMeansStop(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"STOP", "stop\n", "*Stop*", "“stop”", "Stop  All", "UNSUBSCRIBE!", "Opt-Out", "opt out", "बंद", "बन्द करो", "बंद करें।", "बंद कर दो", "\u200bstop\u200b", "Band Karo",
		"বন্ধ করুন।", "থামুন", "থামাও", "बंद करा", "थांबा", "थांबवा", "நிறுத்து", "நிறுத்துங்கள்!", "நிறுத்தவும்", "ఆపు", "ఆపండి", "నిలిపివేయండి",
	} {
		require.True(t, whatsapp.MeansStop(text), "%q", text)
	}
	for _, text := range []string{"", " ", ".", "stopp", "nonstop", "stop it hurts", "don't stop", "cancel", "end", "no", "quit", "बंद नाक", "থামুন না", "நிறுத்தாதே", "ఆపకండి", strings.Repeat(" ", 300) + "stop"} {
		require.False(t, whatsapp.MeansStop(text), "%q", text)
	}
}

// TestReportsAreRepeated: what the application could not keep, Meta has again, and no
// report that it did keep.
func TestReportsAreRepeated(t *testing.T) {
	t.Parallel()
	var app told
	h := reporting(t).Reports(app.report)
	body := webhook("messages", `{`+meta+`,"statuses":[{"id":"wamid.1","status":"read"}]}`)
	app.fail = errors.New("database is down")
	require.Equal(t, 500, post(h, body, signed(body)).Code)
	app.fail = nil
	require.Equal(t, 200, post(h, body, signed(body)).Code)
	require.Equal(t, 200, post(h, body, signed(body)).Code)
	require.Len(t, app.reports, 2)
	require.Equal(t, 401, post(h, body, "sha256="+strings.Repeat("0", 64)).Code)

	permanent := reporting(t).Reports(func(context.Context, notify.Report) error { return whatsapp.Permanent(errors.New("no such visit")) })
	require.Equal(t, 200, post(permanent, body, signed(body)).Code)

	require.NoError(t, h.Shutdown(t.Context()))
	require.Equal(t, 503, post(h, body, signed(body)).Code)
}

// TestReportsThatNobodyTakes: nothing is lost by a forgotten secret, and nothing is
// believed.
func TestReportsThatNobodyTakes(t *testing.T) {
	t.Parallel()
	var app told
	body := webhook("messages", `{`+meta+`,"statuses":[{"id":"wamid.1","status":"read"}]}`)
	for name, c := range map[string]struct {
		change func(*whatsapp.Config)
		report func(context.Context, notify.Report) error
	}{
		"no secret": {func(cfg *whatsapp.Config) { cfg.WebhookSecrets = nil }, app.report},
		"no report": {func(*whatsapp.Config) {}, nil},
	} {
		var log strings.Builder
		h := reporting(t, c.change, func(cfg *whatsapp.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) }).Reports(c.report)
		require.Equal(t, 1, strings.Count(log.String(), "whatsapp reports are refused"), name)
		for _, sig := range []string{signed(body), "sha256=" + strings.Repeat("0", 64), ""} {
			require.Equal(t, 503, post(h, body, sig).Code, name)
		}
		require.Equal(t, 1, strings.Count(log.String(), "\n"), "%s: one line, not one for each event", name)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/hook?hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=1", nil))
		require.Equal(t, 403, w.Code, name)
	}
	require.Empty(t, app.reports)

	_, err := whatsapp.New(whatsapp.Config{PhoneNumberID: "1", Token: telemed.NewSecret("t"), WebhookSecrets: make([]telemed.Secret, 1)})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.ErrorContains(t, err, "WebhookSecrets[0]")
}

// TestReportsMeetTheFake goes the whole way over HTTP.
func TestReportsMeetTheFake(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	cfg := config(srv)
	cfg.WebhookSecrets, cfg.VerifyToken = []telemed.Secret{srv.AppSecret()}, telemed.NewSecret("verify-me")
	client := newClient(t, cfg)
	var app told
	endpoint := httptest.NewServer(client.Reports(app.report))
	t.Cleanup(endpoint.Close)
	srv.SetWebhookURL(endpoint.URL)
	require.NoError(t, srv.Subscribe(t.Context(), "verify-me"))
	require.Error(t, srv.Subscribe(t.Context(), "wrong"))

	receipt, err := client.Notify(t.Context(), message("appt-42/paid"))
	require.NoError(t, err)
	require.NoError(t, srv.SendStatus(t.Context(), receipt.ID, "failed", 131026))
	require.NoError(t, srv.SendText(t.Context(), phone, "Asha", "thank you"))
	require.NoError(t, srv.SendText(t.Context(), phone, "Asha", "STOP"))
	require.Len(t, app.reports, 2)
	require.Equal(t, []string{notify.Reference("appt-42/paid"), receipt.ID}, []string{app.reports[0].Reference, app.reports[0].ID})
	require.ErrorIs(t, app.reports[0].Err, notify.ErrRecipient)
	require.Equal(t, phone, app.reports[1].Address)
}
