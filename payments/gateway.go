package payments

import (
	"context"
	"encoding/json"
	"net/http"
)

// PaymentGateway takes and returns money. razorpay.Client is one;
// paymentstest.Gateway is one for unit tests; paymentstest.Run checks any.
//
// An implementation is safe for concurrent use, honours ctx on all I/O and
// keeps nothing of a request after it returns. Every call that moves money can
// be repeated with the same key, after a crash too, and happens
// once. A lost answer is telemed.ErrAmbiguous, never a plain failure.
type PaymentGateway interface {
	// CreateOrder opens an order that the patient then pays. The same Key
	// and Amount again gives the same order, which may be paid by now; the same
	// Key with another Amount is ErrKeyConflict.
	CreateOrder(ctx context.Context, req OrderRequest) (*Order, error)

	// Payment reads a payment. An unknown id is telemed.ErrNotFound.
	Payment(ctx context.Context, paymentID string) (*Payment, error)

	// VerifyPayment decides whether an order is paid. It checks the signature first
	// (telemed.ErrSignature, before any request), then reads payment and order from the
	// gateway:
	//
	//   - The payment must be for this order, else it is ErrOrderMismatch.
	//   - Created and failed payments are ErrPaymentIncomplete, a wholly refunded one is
	//     ErrAlreadyRefunded.
	//   - The order must be of the expected amount and currency, else it is
	//     ErrAmountMismatch.
	//   - The order decides whether a captured payment pays it ([Order.IsPaid]). What the
	//     payer paid may differ from the order's amount, by the gateway's own doing. If the
	//     order is not paid, the payment was an instalment: ErrPartlyPaid.
	//   - An authorized payment is returned without error and with that status: its money is
	//     only reserved until Capture.
	VerifyPayment(ctx context.Context, c Confirmation) (*Payment, error)

	// Capture takes the money of an authorized payment, all of it. Capturing
	// again with the same amount returns the captured payment; with another
	// amount it is ErrAlreadyCaptured. An amount that was not authorized is
	// ErrAmountMismatch; a failed payment is ErrPaymentIncomplete.
	Capture(ctx context.Context, req CaptureRequest) (*Payment, error)

	// Refund gives money back. The same Key gives the same refund;
	// for another payment or amount it is ErrKeyConflict. A pending refund
	// is a success: money arrives later, or EventRefundFailed tells that it did not,
	// and the same key gives that refund with its RefundFailed and no error. Then a
	// new key makes a new refund.
	//
	// ErrAlreadyRefunded means that nothing is left: somebody gave the money back
	// under another key or by hand, on the gateway's own pages. It is no failure:
	// read the Payment, book what its Refunded says, and treat the refund as done.
	Refund(ctx context.Context, req RefundRequest) (*Refund, error)
}

// OrderFinder reads orders: how an application finds out what became of a payment when
// neither callback nor webhook came. Ids that the gateway does not know are
// telemed.ErrNotFound.
type OrderFinder interface {
	// Order reads an order by the gateway's id.
	Order(ctx context.Context, orderID string) (*Order, error)
	// OrdersByKey finds all orders of a Key, the one that got furthest first: paid before
	// attempted before created, and the newest of equals. There is one, unless two processes
	// made one each, or another program uses the account. None is an empty list.
	OrdersByKey(ctx context.Context, key string) ([]*Order, error)
	// OrderPayments lists all attempts to pay an order, failed ones too, the newest first.
	OrderPayments(ctx context.Context, orderID string) ([]*Payment, error)
}

// RefundFinder reads refunds: how an application finds out what became of a pending one
// when no webhook came. Ids that the gateway does not know are telemed.ErrNotFound.
type RefundFinder interface {
	// RefundByID reads a refund by the gateway's id.
	RefundByID(ctx context.Context, refundID string) (*Refund, error)
	// PaymentRefunds lists all refunds of a payment, also those that failed and those that
	// somebody made on the gateway's own pages, the newest first.
	PaymentRefunds(ctx context.Context, paymentID string) ([]*Refund, error)
}

// CheckoutProvider makes what the payment page needs.
type CheckoutProvider interface {
	// Checkout returns the options for the gateway's script as a JSON object,
	// escaped so that it can stand inside a <script> element. It never holds a
	// secret, but it does hold the patient's prefilled data.
	Checkout(o *Order, ui CheckoutUI) (json.RawMessage, error)
}

// CallbackParser reads what the browser comes back with from the payment page.
type CallbackParser interface {
	// ParseCallback reads the body of r, to a limit and within ten seconds, and checks the
	// signature in it. It returns OrderID, PaymentID and Signature; Expected is left to the
	// application. Nothing is written to w, and of the address nothing is read: a query of
	// the callback's address stays the application's.
	//
	// The signature says that the payment is for the order, and no more. Look up the bill
	// that has this OrderID. A confirmation of another bill's order may be a true one, which
	// somebody has paid and sends again. Then PaymentGateway.VerifyPayment says whether the
	// order is paid.
	//
	// The errors are
	//
	//   - ErrPaymentIncomplete if the page ended without a payment. That is not signed, and
	//     the order may still be paid, by another attempt or by a bank that answers late;
	//   - telemed.ErrSignature if the signature does not fit;
	//   - telemed.ErrInvalid for a request that is no callback. If the body was too long,
	//     errors.As finds an *http.MaxBytesError; if it was too slow, errors.Is finds
	//     os.ErrDeadlineExceeded.
	ParseCallback(w http.ResponseWriter, r *http.Request) (Confirmation, error)
}

// WebhookParser turns a webhook into an Event; see [NewWebhook].
type WebhookParser interface {
	// ParseWebhook checks the signature over body, byte for byte as received, before it
	// looks inside. An error of it matches telemed.ErrSignature and may say what is likely
	// wrong: it is logged. A body that is signed but cannot be read is telemed.ErrInvalid; a
	// field that cannot be read is named in Event.Unread. An event of an unknown type is not
	// an error.
	ParseWebhook(h http.Header, body []byte) (*Event, error)
}
