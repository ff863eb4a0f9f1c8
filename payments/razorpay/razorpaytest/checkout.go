package razorpaytest

import (
	"cmp"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/telemed-go/telemed/payments"
)

//go:embed checkout.html
var checkoutHTML string

var pages = template.Must(template.New("").Parse(checkoutHTML))

// view is what the pages show.
type view struct {
	Nonce                  string
	Name, Description      string
	OrderID, Amount        string
	CallbackURL, CancelURL string
	Heading, Problem, Lang string
	Fields                 []field
	Failed                 bool
}

type field struct{ Name, Value string }

// showCheckout is the page where a browser pays: GET /checkout?order_id=…&callback_url=…,
// and Razorpay's hosted form, POST /v1/checkout/embedded.
func (s *Server) showCheckout(w http.ResponseWriter, r *http.Request) {
	v := view{
		Name: cmp.Or(r.FormValue("name"), "Test hospital"), Description: r.FormValue("description"),
		OrderID: r.FormValue("order_id"), CallbackURL: r.FormValue("callback_url"), CancelURL: r.FormValue("cancel_url"),
	}
	key := cmp.Or(r.FormValue("key"), r.FormValue("key_id"))
	s.mu.Lock()
	o, err := s.payable(v.OrderID)
	if err == nil {
		v.Amount = payments.Money{Minor: o.due(), Currency: payments.Currency(o.currency)}.String()
	}
	s.mu.Unlock()
	switch {
	case key != "" && key != s.cfg.KeyID:
		v.stop(w, http.StatusUnauthorized, "The key is not the one of this account.")
	case err != nil:
		v.stop(w, http.StatusBadRequest, reason(err))
	case !webAddress(v.CallbackURL):
		v.stop(w, http.StatusBadRequest, "The callback_url is missing or is not an http(s) address.")
	case v.CancelURL != "" && !webAddress(v.CancelURL):
		v.stop(w, http.StatusBadRequest, "The cancel_url is not an http(s) address.")
	default:
		v.show(w, http.StatusOK, "checkout")
	}
}

// finishCheckout pays or fails, as the button says, and sends the browser back
// with a form that posts itself; without JavaScript its button does.
func (s *Server) finishCheckout(w http.ResponseWriter, r *http.Request) {
	v := view{OrderID: r.PostFormValue("order_id"), CallbackURL: r.PostFormValue("callback_url")}
	if !webAddress(v.CallbackURL) {
		v.stop(w, http.StatusBadRequest, "The callback_url is missing or is not an http(s) address.")
		return
	}
	switch r.PostFormValue("outcome") {
	case "pay":
		paid, err := s.Pay(v.OrderID)
		if err != nil {
			v.stop(w, http.StatusBadRequest, reason(err))
			return
		}
		v.Heading = "Payment received"
		v.Fields = []field{
			{"razorpay_payment_id", paid.PaymentID}, {"razorpay_order_id", paid.OrderID}, {"razorpay_signature", paid.Signature},
		}
	case "fail":
		paymentID, err := s.FailPayment(v.OrderID)
		if err != nil {
			v.stop(w, http.StatusBadRequest, reason(err))
			return
		}
		s.mu.Lock()
		failure := s.findPayment(paymentID).failure
		s.mu.Unlock()
		v.Heading, v.Failed, v.Fields = "Payment failed", true, failure.fields()
	default:
		v.stop(w, http.StatusBadRequest, "The outcome is neither pay nor fail.")
		return
	}
	v.show(w, http.StatusOK, "return")
}

// reason is an error for a person.
func reason(err error) string {
	if r, ok := err.(*Refusal); ok {
		return r.Description + "."
	}
	return err.Error()
}

func (e *checkoutError) fields() []field {
	metadata, _ := json.Marshal(object{"payment_id": e.PaymentID, "order_id": e.OrderID})
	return []field{
		{"error[code]", e.Code}, {"error[description]", e.Description}, {"error[source]", e.Source},
		{"error[step]", e.Step}, {"error[reason]", e.Reason}, {"error[metadata]", string(metadata)},
	}
}

func (v view) stop(w http.ResponseWriter, status int, problem string) {
	v.Heading, v.Problem = "This payment cannot be made", problem
	v.show(w, status, "problem")
}

func (v view) show(w http.ResponseWriter, status int, page string) {
	v.Nonce = rand.Text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+v.Nonce+"'; script-src 'nonce-"+v.Nonce+"'; base-uri 'none'; frame-ancestors 'self'")
	w.WriteHeader(status)
	_ = pages.ExecuteTemplate(w, page, v) // a browser that left is no error
}
