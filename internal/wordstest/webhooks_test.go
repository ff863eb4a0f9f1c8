//go:build !race

package wordstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/zoom"
)

// events are each provider's with WORD where it has words, and what is nearly one.
var events = map[string]string{
	"zoom's":             `{"event":"meeting.started","event_ts":1,"payload":{"account_id":"WORD","object":{"id":"WORD","uuid":"WORD","host_id":"WORD","topic":"WORD","participant":{"user_id":"WORD","user_name":"WORD","email":"WORD"}}}}`,
	"zoom's, named":      `{"event":"WORD","event_ts":"WORD","payload":{"object":{"id":123,"WORD":"WORD"}}}`,
	"zoom's question":    `{"event":"endpoint.url_validation","payload":{"plainToken":"WORD:WORD"}}`,
	"razorpay's":         `{"event":"payment.captured","account_id":"WORD","payload":{"payment":{"entity":{"id":"WORD","order_id":"WORD","amount":1,"currency":"WORD","status":"WORD","method":"WORD","error_code":"WORD","error_description":"WORD","error_reason":"WORD","notes":{"WORD":"WORD"}}}}}`,
	"razorpay's refund":  `{"event":"refund.failed","account_id":"WORD","payload":{"refund":{"entity":{"id":"WORD","payment_id":"WORD","amount":1,"currency":"WORD","status":"WORD"}}}}`,
	"razorpay's, named":  `{"event":"WORD","payload":{"WORD":{"entity":{"id":"WORD"}},"order":{"entity":{"id":"WORD","receipt":"WORD","amount":"WORD"}}}}`,
	"meta's message":     `{"object":"whatsapp_business_account","entry":[{"id":"WORD","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"WORD"},"contacts":[{"wa_id":"WORD","profile":{"name":"WORD"}}],"messages":[{"id":"WORD","from":"WORD","timestamp":"WORD","type":"text","text":{"body":"WORD"}}]}}]}]}`,
	"meta's of a type":   `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"1"},"messages":[{"id":"WORD","from":"1","timestamp":"1","type":"WORD","WORD":{}}]}}]}]}`,
	"meta's status":      `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"1"},"statuses":[{"id":"WORD","status":"WORD","timestamp":"1","recipient_id":"WORD","errors":[{"code":1,"title":"WORD","message":"WORD"}]}]}}]}]}`,
	"meta's change":      `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"WORD","value":{"WORD":"WORD"}}]}]}`,
	"of another kind":    `{"object":"WORD","event":["WORD"],"entry":"WORD","payload":"WORD"}`,
	"bare":               `"WORD"`,
	"no JSON":            `WORD`,
	"cut":                `{"event":"WORD","payload":{"WORD`,
	"a type that is not": `{"event":{"WORD":1},"entry":[{"changes":[{"field":{"WORD":1}}]}]}`,
}

const secret = "s3cret-of-webhooks"

// signed are the headers of a delivery as each provider writes them.
func signed(body, word string) map[string]http.Header {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	return map[string]http.Header{
		"zoom": {
			"X-Zm-Request-Timestamp": {now}, "X-Zm-Signature": {"v0=" + signature.Hex([]byte(secret), []byte("v0:"+now+":"+body))},
			"X-Zm-Trackingid": {word},
		},
		"payments": {"X-Razorpay-Signature": {signature.Hex([]byte(secret), []byte(body))}, "X-Razorpay-Event-Id": {word}},
		"whatsapp": {"X-Hub-Signature-256": {"sha256=" + signature.Hex([]byte(secret), []byte(body))}},
	}
}

// doors are the webhooks of all providers. Their application takes nothing, or what cannot
// be read, and looks at all that it is given.
func doors(t *testing.T, found leaks, log *slog.Logger, unread bool) map[string]http.Handler {
	t.Helper()
	secrets, failure := []telemed.Secret{telemed.NewSecret(secret)}, errors.New("the application failed")
	look := func(what string, value any) error {
		found.lookAt("printed "+what, "a delivery", fmt.Sprintf("%v %+v %#v %x %s", value, value, value, value, told(value)))
		return failure
	}
	zc := zoom.WebhookConfig{Secrets: secrets, Logger: log, Handle: func(_ context.Context, e zoom.Event) error { return look("zoom.Event", e) }}
	pc := payments.WebhookConfig{Logger: log, Handle: func(_ context.Context, e payments.Event) error { return look("payments.Event", e) }}
	wc := whatsapp.WebhookConfig{
		Secrets: secrets, VerifyToken: secrets[0], Logger: log,
		Handle: func(_ context.Context, e whatsapp.Event) error { return look("whatsapp.Event", e) },
	}
	if unread {
		zc.Unread = func(_ context.Context, e zoom.UnreadEvent) error { return look("zoom.UnreadEvent", e) }
		pc.Unread = func(_ context.Context, e payments.UnreadEvent) error { return look("payments.UnreadEvent", e) }
		wc.Unread = func(_ context.Context, e whatsapp.UnreadEvent) error { return look("whatsapp.UnreadEvent", e) }
	}
	var err error
	pc.Parser, err = razorpay.New(razorpay.Config{KeyID: "rzp_test_x", KeySecret: telemed.NewSecret("s3cret"), WebhookSecrets: secrets})
	require.NoError(t, err)
	pc.AccountID = map[bool]string{true: "acc_ours"}[unread]
	z, err := zoom.NewWebhook(zc)
	require.NoError(t, err)
	p, err := payments.NewWebhook(pc)
	require.NoError(t, err)
	w, err := whatsapp.NewWebhook(wc)
	require.NoError(t, err)
	return map[string]http.Handler{"zoom": z, "payments": p, "whatsapp": w}
}

// told is what a log tells of a value.
func told(value any) string {
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("it came", "event", value)
	return b.String()
}

// The parser says what is wrong by itself, for applications without payments.Webhook.
func TestNoWordOfAParsedDeliveryComesBack(t *testing.T) {
	t.Parallel()
	client, err := razorpay.New(razorpay.Config{
		KeyID: "rzp_test_x", KeySecret: telemed.NewSecret("s3cret"), WebhookSecrets: []telemed.Secret{telemed.NewSecret(secret)},
	})
	require.NoError(t, err)
	found, unread, forged := leaks{}, 0, 0
	for _, word := range words {
		for kind, text := range events {
			body := strings.ReplaceAll(text, "WORD", word)
			header := signed(body, word)["payments"]
			if _, err := client.ParseWebhook(header, []byte(body)); err != nil {
				unread++
				found.look("ParseWebhook", kind+", "+word, err)
			}
			header.Set("X-Razorpay-Signature", word)
			if _, err := client.ParseWebhook(header, []byte(body)); err != nil {
				forged++
				found.look("ParseWebhook, forged", kind+", "+word, err)
			}
		}
	}
	require.Greater(t, unread, 4*len(words))
	require.Equal(t, forged, len(words)*len(events))
	found.report(t)
}

// What providers deliver is their word too, signed or not.
func TestNoWordOfADeliveryComesBack(t *testing.T) {
	t.Parallel()
	found, answered := leaks{}, map[int]int{}
	for _, word := range words {
		for kind, text := range events {
			body := strings.ReplaceAll(text, "WORD", word)
			for _, forged := range []bool{false, true} {
				var log bytes.Buffer
				logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				answer := fmt.Sprintf("%s, %s, forged: %t", kind, word, forged)
				for name, door := range doors(t, found, logger, forged == (len(word)%2 == 0)) {
					r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
					r.Header = signed(body, word)[name]
					if forged {
						for header := range r.Header {
							r.Header.Set(header, word)
						}
					}
					w := httptest.NewRecorder()
					door.ServeHTTP(w, r)
					answered[w.Code]++
					found.lookAt(name+": answer", answer, fmt.Sprint(w.Header(), w.Body))
				}
				found.lookAt("log of webhooks", answer, log.String())
			}
		}
	}
	for _, code := range []int{200, 400, 401, 500} {
		require.NotZero(t, answered[code], answered)
	}
	found.report(t)
}
