package razorpay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
)

// Payment reads a payment.
//
// https://razorpay.com/docs/api/payments/fetch-with-id
func (c *Client) Payment(ctx context.Context, paymentID string) (*payments.Payment, error) {
	if err := checkID("Payment", "PaymentID", paymentID, "pay"); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	return c.payment(ctx, "Payment", paymentID)
}

func (c *Client) payment(ctx context.Context, op, id string) (*payments.Payment, error) {
	got := paymentAnswer{asked: id}
	if err := c.do(ctx, call{op: op, method: http.MethodGet, path: rest.Path("v1", "payments", id)}, &got); err != nil {
		return nil, err
	}
	return got.Payment, nil
}

// CheckSignature checks what the checkout returned, without a request: whether
// Razorpay signed that this payment belongs to this order. orderID must come
// from the application's database. It says nothing about amount and capture; that
// takes [Client.VerifyPayment].
//
// https://razorpay.com/docs/payments/payment-gateway/web-integration/standard/integration-steps/#15-verify-payment-signature
func (c *Client) CheckSignature(orderID, paymentID, sig string) error {
	const op = "CheckSignature"
	var p fault.Problems
	requireID(&p, "OrderID", orderID, "order")
	requireID(&p, "PaymentID", paymentID, "pay")
	if err := p.Err("razorpay: " + op); err != nil {
		return err
	}
	if !c.signed(payments.Confirmation{OrderID: orderID, PaymentID: paymentID, Signature: sig}) {
		return refuse(op, telemed.ErrSignature)
	}
	return nil
}

// signed reports whether Razorpay has signed that this payment is for this order.
func (c *Client) signed(conf payments.Confirmation) bool {
	return signature.Valid(conf.Signature, []byte(conf.OrderID+"|"+conf.PaymentID), []byte(c.secret.Reveal()))
}

// VerifyPayment decides whether an order is paid, as [payments.PaymentGateway] says. It
// reads the payment and, unless that took no money, its order. With Config.AutoCapture an
// authorized payment is captured here, unless its order is paid already: then Razorpay
// gives it back.
func (c *Client) VerifyPayment(ctx context.Context, conf payments.Confirmation) (*payments.Payment, error) {
	const op = "VerifyPayment"
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	if err := c.CheckSignature(conf.OrderID, conf.PaymentID, conf.Signature); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	payment, err := c.payment(ctx, op, conf.PaymentID)
	if err != nil {
		return nil, err
	}
	if payment.OrderID != conf.OrderID {
		return nil, refuse(op, payments.ErrOrderMismatch)
	}
	switch payment.Status {
	case payments.PaymentCaptured, payments.PaymentAuthorized:
		return c.settle(ctx, op, conf, payment)
	case payments.PaymentRefunded:
		return nil, refuse(op, payments.ErrAlreadyRefunded)
	}
	return nil, refuse(op, payments.ErrPaymentIncomplete)
}

// settle has the order decide over a payment whose money is taken or reserved.
func (c *Client) settle(ctx context.Context, op string, conf payments.Confirmation, payment *payments.Payment) (*payments.Payment, error) {
	order, err := c.order(ctx, op, conf.OrderID)
	if err != nil {
		return nil, err
	}
	if order.Amount != conf.Expected {
		return nil, refuse(op, payments.ErrAmountMismatch)
	}
	switch {
	case payment.Status == payments.PaymentCaptured:
	case order.IsPaid(): // by this payment, meanwhile, or by another one
		return c.reread(ctx, op, payment)
	case !c.capture:
		return payment, nil
	default:
		payment, err = c.Capture(ctx, payments.CaptureRequest{PaymentID: payment.ID, Amount: payment.Amount})
		if err != nil {
			return nil, err
		}
		if order, err = c.order(ctx, op, conf.OrderID); err != nil {
			return nil, err
		}
	}
	if !order.IsPaid() {
		return nil, refuse(op, payments.ErrPartlyPaid)
	}
	return payment, nil
}

// reread reads a payment again that was authorized before its order was seen to be paid.
func (c *Client) reread(ctx context.Context, op string, before *payments.Payment) (*payments.Payment, error) {
	now, err := c.payment(ctx, op, before.ID)
	if err == nil && now.Status == payments.PaymentRefunded {
		return nil, refuse(op, payments.ErrAlreadyRefunded)
	}
	return now, err
}

// Capture takes the money of an authorized payment. Razorpay captures a payment
// at most once, so the request is repeated when its answer is lost, and what
// happened is read from the payment.
//
// https://razorpay.com/docs/api/payments/capture
func (c *Client) Capture(ctx context.Context, req payments.CaptureRequest) (*payments.Payment, error) {
	const op = "Capture"
	if err := req.Validate(); err != nil {
		return nil, err
	}
	if err := checkID(op, "PaymentID", req.PaymentID, "pay"); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	got := paymentAnswer{asked: req.PaymentID}
	err := c.do(ctx, call{
		op: op, method: http.MethodPost, path: rest.Path("v1", "payments", req.PaymentID, "capture"), repeat: true,
		body: captureBody{req.Amount.Minor, req.Amount.Currency},
	}, &got)
	if err == nil {
		return captured(op, got.Payment, req, nil)
	}
	if !errors.Is(err, telemed.ErrAmbiguous) && !refused(err) {
		return nil, err
	}
	payment, readErr := c.payment(ctx, op, req.PaymentID)
	if readErr != nil {
		return nil, err
	}
	return captured(op, payment, req, err)
}

// refused reports whether Razorpay looked at the request and said no.
func refused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusConflict) && !errors.Is(err, telemed.ErrUnauthorized) && !errors.Is(err, telemed.ErrNotFound)
}

// captured tells from the payment as it is now what came of a capture. err is
// what the capture itself said, nil if it succeeded.
func captured(op string, p *payments.Payment, req payments.CaptureRequest, err error) (*payments.Payment, error) {
	switch p.Status {
	case payments.PaymentCaptured:
		if p.Amount == req.Amount {
			return p, nil
		}
		return nil, refuse(op, payments.ErrAlreadyCaptured)
	case payments.PaymentRefunded:
		return nil, refuse(op, payments.ErrAlreadyRefunded)
	case payments.PaymentFailed, payments.PaymentCreated:
		return nil, refuse(op, payments.ErrPaymentIncomplete)
	}
	if err == nil { // "captured", but the payment says otherwise
		return nil, refuse(op, telemed.ErrAmbiguous)
	}
	// In whatever words it was refused.
	if e, ok := errors.AsType[*Error](err); ok && p.Amount != req.Amount {
		told := *e
		told.kind = payments.ErrAmountMismatch
		return nil, &told
	}
	return nil, err
}

// Refund gives money back. The key goes to Razorpay as X-Refund-Idempotency
// (hashed, if it has characters that Razorpay does not take there), so the
// request is repeated when its answer is lost. If an Amount is given, the
// payment is read first: Razorpay takes a number without a currency.
//
// payments.ErrAlreadyRefunded says that the whole was given back before, under
// another key or in Razorpay's dashboard: read the payment and treat the refund as done.
//
// https://razorpay.com/docs/api/refunds/create-normal
// https://razorpay.com/docs/api/refunds/create-instant
func (c *Client) Refund(ctx context.Context, req payments.RefundRequest) (*payments.Refund, error) {
	const op = "Refund"
	if err := req.Validate(); err != nil {
		return nil, err
	}
	if err := checkID(op, "PaymentID", req.PaymentID, "pay"); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	body := refundBody{Notes: req.Notes, Speed: "normal"}
	if req.Speed == payments.RefundFast {
		body.Speed = "optimum"
	}
	if req.Amount != nil {
		payment, err := c.payment(ctx, op, req.PaymentID)
		if err != nil {
			return nil, err
		}
		if payment.Amount.Currency != req.Amount.Currency {
			return nil, refuse(op, payments.ErrAmountMismatch)
		}
		body.Amount = req.Amount.Minor
	}
	refund, err := c.postRefund(ctx, op, req, body)
	if err != nil {
		return nil, err
	}
	if refund.PaymentID != req.PaymentID || req.Amount != nil && refund.Amount != *req.Amount {
		return nil, refuse(op, payments.ErrKeyConflict)
	}
	return refund, nil
}

// postRefund sends the request. It is repeated also while Razorpay is still at work on
// it.
func (c *Client) postRefund(ctx context.Context, op string, req payments.RefundRequest, body refundBody) (*payments.Refund, error) {
	var got refundAnswer
	err := c.do(ctx, call{
		op: op, method: http.MethodPost, path: rest.Path("v1", "payments", req.PaymentID, "refund"),
		body: body, header: map[string]string{idempotencyHeader: refundKey(req.Key)},
	}, &got)
	if err != nil {
		return nil, err
	}
	return got.Refund, nil
}

// refundKey makes the application's key one that Razorpay takes: at least ten letters,
// digits, hyphens and underscores. The same key gives the same result for ever.
func refundKey(key string) string {
	conforming := len(key) >= 10 && len(key) <= 64 && strings.IndexFunc(key, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_')
	}) < 0
	if conforming {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "h_" + hex.EncodeToString(sum[:])[:40]
}
