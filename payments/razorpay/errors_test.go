package razorpay_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// TestErrorKinds hands the client one answer after another and looks at what the
// application sees.
func TestErrorKinds(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	said := func(status int, description string) razorpaytest.Fault {
		return razorpaytest.Refuse("", status, description)
	}
	raw := func(status int, body string) razorpaytest.Fault {
		return razorpaytest.Fault{Status: status, Body: body}
	}
	for name, tc := range map[string]struct {
		fault razorpaytest.Fault
		want  error
		text  string
	}{
		"a wrong key":                    {said(401, "Authentication failed"), telemed.ErrUnauthorized, "401 (BAD_REQUEST_ERROR, reason input_validation_failed): credentials refused"},
		"a wrong key, told by 400":       {said(400, "The api key provided is invalid"), telemed.ErrUnauthorized, "400 (BAD_REQUEST_ERROR, reason input_validation_failed): credentials refused"},
		"a wrong secret":                 {said(400, "The api secret provided is invalid"), telemed.ErrUnauthorized, "400 (BAD_REQUEST_ERROR, reason input_validation_failed): credentials refused"},
		"a bare authentication failure":  {said(400, "Authentication failed."), telemed.ErrUnauthorized, "400 (BAD_REQUEST_ERROR, reason input_validation_failed): credentials refused"},
		"a wrong OTP is not a wrong key": {said(400, "Authentication failed due to incorrect OTP"), telemed.ErrInvalid, "400 (BAD_REQUEST_ERROR, reason input_validation_failed): invalid request"},
		"forbidden":                      {said(403, "Access denied"), telemed.ErrForbidden, "403 (BAD_REQUEST_ERROR, reason input_validation_failed): not permitted"},
		"no such id":                     {said(400, "The id provided does not exist"), telemed.ErrNotFound, "400 (BAD_REQUEST_ERROR, reason input_validation_failed): not found"},
		"no id at all":                   {said(400, "ub_id%7D is not a valid id"), telemed.ErrNotFound, "400 (BAD_REQUEST_ERROR, reason input_validation_failed): not found"},
		"404":                            {raw(404, ""), telemed.ErrNotFound, "404: not found"},
		"key used for something else":    {said(409, "Different request with the same idempotency key has already been processed."), payments.ErrKeyConflict, "409 (BAD_REQUEST_ERROR, reason input_validation_failed): key was used before for a different request"},
		"the same, told by 400":          {said(400, "Different request with the same idempotency key has already been processed."), payments.ErrKeyConflict, "400 (BAD_REQUEST_ERROR, reason input_validation_failed): key was used before for a different request"},
		"wholly refunded":                {said(400, "The payment has been fully refunded already"), payments.ErrAlreadyRefunded, "400 (BAD_REQUEST_ERROR, reason input_validation_failed): payment is already refunded"},
		"gateway error under 400":        {raw(400, `{"error":{"code":"GATEWAY_ERROR"}}`), telemed.ErrUnavailable, "400 (GATEWAY_ERROR): provider unavailable"},
		"a message instead of an error":  {raw(400, `{"message":"no Route matched"}`), telemed.ErrInvalid, "400: invalid request"},
		"a bare string":                  {raw(400, `"The id provided does not exist"`), telemed.ErrNotFound, "400: not found"},
		"NA is nothing":                  {raw(400, `{"error":{"code":"BAD_REQUEST_ERROR","description":null,"field":null,"reason":"NA","metadata":[]}}`), telemed.ErrInvalid, "400 (BAD_REQUEST_ERROR): invalid request"},
		"a field":                        {raw(400, `{"error":{"code":"BAD_REQUEST_ERROR","field":"amount"}}`), telemed.ErrInvalid, "400 (BAD_REQUEST_ERROR, field amount): invalid request"},
		"prose in a constant's place":    {raw(400, `{"error":{"code":"Asha Canary","reason":"asha@example.org","field":"+919876543210"}}`), telemed.ErrInvalid, "400: invalid request"},
		"an empty 200":                   {raw(200, ""), telemed.ErrUnavailable, "200: provider unavailable: answer is empty"},
		"two bytes":                      {raw(200, "42"), telemed.ErrUnavailable, "200: provider unavailable: answer is not the JSON that was expected"},
		"an empty document":              {raw(200, "{}"), telemed.ErrUnavailable, "200: provider unavailable: answer lacks the id"},
		"another payment":                {raw(200, `{"id":"pay_other"}`), telemed.ErrUnavailable, "200: provider unavailable: answer is about another payment"},
		"a fraction of a paisa":          {raw(200, `{"id":"pay_1","amount":1.5}`), telemed.ErrUnavailable, "200: provider unavailable: answer is not the JSON that was expected"},
		"HTML for an answer":             {page(200), telemed.ErrUnavailable, `200: provider unavailable: answer is "text/html", not JSON`},
		"an endless answer":              {raw(200, `{"id":"pay_1","x":"`+strings.Repeat("x", 4<<20)+`"}`), telemed.ErrUnavailable, "200: provider unavailable: answer is longer than 4194304 bytes"},
		"a redirect":                     {raw(302, ""), telemed.ErrUnavailable, "302: provider unavailable"},
	} {
		srv.FailNext(tc.fault)
		_, err := client.Payment(t.Context(), "pay_1")
		require.ErrorIs(t, err, tc.want, name)
		require.Equal(t, "razorpay: Payment: "+tc.text, err.Error(), name)
	}
}

func TestErrorDetails(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	srv.FailNext(razorpaytest.Fault{
		Status: 429, Header: http.Header{"Retry-After": {"3600"}, "X-Razorpay-Request-Id": {"req_Jv4BzQ7oTm2QNF"}},
		Body: `{"error":{"code":"BAD_REQUEST_ERROR","description":"slow down","field":"amount","source":"business","step":"payment_initiation","reason":"x","metadata":{"payment_id":"pay_1","order_id":"Asha"}}}`,
	})
	_, err := client.Payment(t.Context(), "pay_1")
	e, ok := errors.AsType[*razorpay.Error](err)
	require.True(t, ok)
	require.Equal(t, "Payment", e.Op)
	require.Equal(t, 429, e.Status)
	require.Equal(t, time.Hour, e.RetryAfter)
	require.Equal(t, time.Hour, e.RetryDelay())
	require.Equal(t, "req_Jv4BzQ7oTm2QNF", e.RequestID)
	require.Equal(t, "pay_1", e.PaymentID)
	require.Empty(t, e.OrderID, "not an id")
	require.Equal(t, "slow down", e.Description)
	encoded, jsonErr := json.Marshal(e)
	require.NoError(t, jsonErr)
	require.NotContains(t, string(encoded), "slow down")
}
