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
		"404":                            {raw(404, `{"error":{"code":"BAD_REQUEST_ERROR"}}`), telemed.ErrNotFound, "404 (BAD_REQUEST_ERROR): not found"},
		"a proxy's 404":                  {page(404), telemed.ErrUnavailable, "404: provider unavailable"},
		"a proxy's 410":                  {page(410), telemed.ErrUnavailable, "410: provider unavailable"},
		"an empty 404":                   {raw(404, ""), telemed.ErrUnavailable, "404: provider unavailable"},
		"a gateway's 404 in JSON":        {raw(404, `{"message":"no Route matched with those values"}`), telemed.ErrUnavailable, "404: provider unavailable"},
		"no such address":                {said(404, "The requested URL was not found on the server."), telemed.ErrUnavailable, "404 (BAD_REQUEST_ERROR, reason input_validation_failed): provider unavailable"},
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

// TestP11RefusalsOfState: the request is right, and the world refuses. Whatever Razorpay
// says then, the error does not say that the request is wrong.
func TestP11RefusalsOfState(t *testing.T) {
	t.Parallel()
	srv, client := start(t, razorpaytest.Config{})
	refund := func() error {
		_, err := client.Refund(t.Context(), payments.RefundRequest{PaymentID: "pay_1", Key: "cancel_0001"})
		return err
	}
	for said, text := range map[string]string{
		"Your account does not have enough balance to carry out the refund operation.":    "the account has too little balance",
		"Insufficient balance in your account. Add funds to your account.":                "the account has too little balance",
		"The bank does not take refunds of payments that are more than 6 months old":      "the payment is too old",
		"Refund is not supported by the bank because the payment is older than 180 days.": "the payment is too old",
		"Refunds are not supported for this payment method":                               "the payment's method takes no refund",
		"Refunds of this account are on hold. Please contact support.":                    "the state of the payment or of the account forbids it",
		"A sentence that nobody here has read before":                                     "the state of the payment or of the account forbids it",
	} {
		srv.FailNext(on(postRefund, razorpaytest.Refuse("", 400, said)))
		err := refund()
		require.ErrorIs(t, err, telemed.ErrConflict, said)
		require.NotErrorIs(t, err, telemed.ErrInvalid, said)
		require.NotErrorIs(t, err, telemed.ErrAmbiguous, said)
		require.Regexp(t, `^razorpay: Refund: 400 \(BAD_REQUEST_ERROR, reason input_validation_failed\): `+text+"$", err.Error())
	}
	for _, said := range []string{
		"Your account is not activated for live payments", "International payments are not enabled for this account", "Payment processing is disabled for your account",
	} {
		srv.FailNext(on(postOrder, razorpaytest.Refuse("", 400, said)))
		_, err := client.CreateOrder(t.Context(), payments.OrderRequest{Amount: payments.INR(100), Key: "bill_1"})
		require.ErrorIs(t, err, telemed.ErrConflict, said)
		require.NotErrorIs(t, err, telemed.ErrInvalid, said)
	}
	for _, body := range []string{
		`{"error":{"code":"BAD_REQUEST_ERROR","description":"The amount is odd","field":"amount"}}`,
		`{"error":{"code":"BAD_REQUEST_ERROR","description":"speed is/are not required and should not be sent","reason":"extra_field_sent"}}`,
		`{"error":{"code":"BAD_REQUEST_ERROR","description":"The total refund amount is greater than the refund payment amount"}}`,
	} {
		srv.FailNext(on(postRefund, razorpaytest.Fault{Status: 400, Body: body}))
		require.ErrorIs(t, refund(), telemed.ErrInvalid, body)
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
