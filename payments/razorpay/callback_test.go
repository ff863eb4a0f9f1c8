package razorpay_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json; charset=utf-8"
)

func parse(t testing.TB, contentType, body string) (payments.Confirmation, error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/paid?razorpay_order_id=order_QUERY", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return offline(t).ParseCallback(httptest.NewRecorder(), r)
}

// bodies are the ways in which a page may post the same fields.
func bodies(t *testing.T, fields map[string]string) map[string]string {
	t.Helper()
	form, document := url.Values{}, map[string]any{}
	var parts bytes.Buffer
	multi := multipart.NewWriter(&parts)
	for name, value := range fields {
		form.Set(name, value)
		require.NoError(t, multi.WriteField(name, value))
		inner, nested := strings.CutPrefix(name, "error[")
		if !nested {
			document[name] = value
			continue
		}
		if document["error"] == nil {
			document["error"] = map[string]any{}
		}
		document["error"].(map[string]any)[strings.TrimSuffix(inner, "]")] = value
	}
	if failure, ok := document["error"].(map[string]any); ok && failure["metadata"] != nil {
		failure["metadata"] = json.RawMessage(fields["error[metadata]"])
	}
	file, err := multi.CreateFormFile("razorpay_order_id", "not a field.txt")
	require.NoError(t, err)
	_, _ = file.Write([]byte("order_FILE"))
	require.NoError(t, multi.Close())
	encoded, err := json.Marshal(document)
	require.NoError(t, err)
	return map[string]string{
		formType: form.Encode(), jsonType: string(encoded), "text/plain;charset=UTF-8": " " + string(encoded),
		"text/plain": form.Encode(), "application/x-www-form-urlencoded;charset=UTF-8": form.Encode(),
		multi.FormDataContentType(): parts.String(),
	}
}

// TestParseCallbackBodies: a page posts as its author likes.
func TestParseCallbackBodies(t *testing.T) {
	t.Parallel()
	want := payments.Confirmation{OrderID: signedOrder, PaymentID: signedPayment, Signature: checkoutSig}
	for contentType, body := range bodies(t, map[string]string{
		"razorpay_order_id": signedOrder, "razorpay_payment_id": signedPayment, "razorpay_signature": checkoutSig,
	}) {
		got, err := parse(t, contentType, body)
		require.NoError(t, err, contentType)
		require.Equal(t, want, got, contentType)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", got, got, got, got), checkoutSig)
	}
}

func TestParseCallbackFailure(t *testing.T) {
	t.Parallel()
	for contentType, body := range bodies(t, map[string]string{
		"error[code]": "BAD_REQUEST_ERROR", "error[description]": "Asha-Canary cancelled", "error[source]": "customer",
		"error[step]": "payment_authentication", "error[reason]": "payment_cancelled",
		"error[metadata]": `{"payment_id":"pay_1","order_id":"order_1"}`,
	}) {
		_, err := parse(t, contentType, body)
		require.ErrorIs(t, err, payments.ErrPaymentIncomplete)
		require.ErrorIs(t, err, telemed.ErrConflict)
		failure, ok := errors.AsType[*razorpay.CheckoutFailure](err)
		require.True(t, ok)
		require.Equal(t, "order_1", failure.OrderID)
		require.Equal(t, "pay_1", failure.PaymentID)
		require.Equal(t, payments.Failure{
			Code: "BAD_REQUEST_ERROR", Description: "Asha-Canary cancelled", Source: "customer", Step: "payment_authentication", Reason: "payment_cancelled",
		}, failure.Failure)
		require.Equal(t, "razorpay: checkout failed (payment_cancelled)", err.Error())
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", err, err, err, err), "Canary")
	}
	_, err := parse(t, formType, "error%5Bcode%5D=%3Cscript%3E")
	require.Equal(t, "razorpay: checkout failed", err.Error())
}

func TestParseCallbackGarbage(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ contentType, body, text string }{
		"nothing":         {formType, "", "razorpay_order_id is not order_ with letters and digits; razorpay_payment_id is not pay_ with letters and digits; razorpay_signature is not 64 hexadecimal digits"},
		"broken JSON":     {jsonType, `{"razorpay`, "Body cannot be read"},
		"wrong types":     {jsonType, `{"razorpay_order_id":[]}`, "Body cannot be read"},
		"a broken form":   {formType, "a=%zz", "Body cannot be read"},
		"another type":    {"application/xml", "x", "Content-Type is neither JSON, text, a form nor multipart/form-data"},
		"no type":         {"", "x", "Content-Type is neither JSON, text, a form nor multipart/form-data"},
		"broken text":     {"text/plain", `{"razorpay`, "Body cannot be read"},
		"no boundary":     {"multipart/form-data", "--B\r\n", "Body cannot be read"},
		"a cut part":      {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx", "Body cannot be read"},
		"an endless body": {formType, strings.Repeat("x", 64<<10+1), "Body is longer than 65536 bytes"},
		"a path for an id": {formType, url.Values{"razorpay_order_id": {"order_1/../x"}, "razorpay_payment_id": {"pay_1"}, "razorpay_signature": {checkoutSig}}.Encode(),
			"razorpay_order_id is not order_ with letters and digits"},
	} {
		_, err := parse(t, tc.contentType, tc.body)
		require.ErrorIs(t, err, telemed.ErrInvalid, name)
		require.Equal(t, "razorpay: ParseCallback: "+tc.text, err.Error(), name)
	}
	_, err := offline(t).ParseCallback(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/paid?razorpay_order_id=order_1", nil))
	require.ErrorContains(t, err, "Method is not POST")
	_, err = offline(t).ParseCallback(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/paid", iotest.ErrReader(io.ErrUnexpectedEOF)))
	require.ErrorContains(t, err, "Body was cut off")
}

// A body that is too long is told from one that was cut off, whoever set the limit.
func TestParseCallbackTooLong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ limit, want int64 }{
		"our limit":        {1 << 20, 64 << 10},
		"the host's limit": {100, 100},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/paid", strings.NewReader(strings.Repeat("x", 64<<10+1)))
		r.Body = http.MaxBytesReader(w, r.Body, tc.limit)
		_, err := offline(t).ParseCallback(httptest.NewRecorder(), r)
		require.ErrorIs(t, err, telemed.ErrInvalid, name)
		tooLong, ok := errors.AsType[*http.MaxBytesError](err)
		require.True(t, ok, name)
		require.Equal(t, tc.want, tooLong.Limit, name)
		require.Equal(t, fmt.Sprintf("razorpay: ParseCallback: Body is longer than %d bytes", tc.want), err.Error(), name)
	}
}

// Ids that the browser has put together are not believed, however well they look.
func TestParseCallbackIsSigned(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]url.Values{
		"another order":   {"razorpay_order_id": {"order_TM00000000000B"}, "razorpay_payment_id": {signedPayment}, "razorpay_signature": {checkoutSig}},
		"another payment": {"razorpay_order_id": {signedOrder}, "razorpay_payment_id": {"pay_TM00000000000B"}, "razorpay_signature": {checkoutSig}},
		"no key":          {"razorpay_order_id": {signedOrder}, "razorpay_payment_id": {signedPayment}, "razorpay_signature": {emptyKeySig}},
		"64 zeros":        {"razorpay_order_id": {signedOrder}, "razorpay_payment_id": {signedPayment}, "razorpay_signature": {strings.Repeat("0", 64)}},
	} {
		got, err := parse(t, formType, form.Encode())
		require.ErrorIs(t, err, telemed.ErrSignature, name)
		require.Zero(t, got, name)
	}
}

func TestParseCallbackTooSlow(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/paid", iotest.ErrReader(os.ErrDeadlineExceeded))
	_, err := offline(t).ParseCallback(httptest.NewRecorder(), r)
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "so that it can be answered 408")
	require.Equal(t, "razorpay: ParseCallback: Body came too slowly", err.Error())
}

func FuzzParseCallback(f *testing.F) {
	types := []string{formType, jsonType, "text/plain", "multipart/form-data; boundary=B"}
	f.Add("razorpay_order_id="+signedOrder+"&razorpay_payment_id="+signedPayment+"&razorpay_signature="+checkoutSig, uint8(0))
	f.Add("error[code]=x&error[metadata]={", uint8(0))
	f.Add(`{"error":{"metadata":[]}}`, uint8(1))
	f.Add(`{"error":{"metadata":[]}}`, uint8(2))
	f.Add("--B\r\nContent-Disposition: form-data; name=\"razorpay_order_id\"\r\n\r\norder_1\r\n--B--\r\n", uint8(3))
	f.Fuzz(func(t *testing.T, body string, kind uint8) {
		got, err := parse(t, types[int(kind)%len(types)], body)
		if err != nil {
			require.True(t, errors.Is(err, telemed.ErrInvalid) || errors.Is(err, telemed.ErrSignature) || errors.Is(err, payments.ErrPaymentIncomplete))
			return
		}
		require.NoError(t, offline(t).CheckSignature(got.OrderID, got.PaymentID, got.Signature))
	})
}
