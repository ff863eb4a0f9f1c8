package razorpaytest

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Instrument is what a patient pays with. The zero value is the UPI id success@razorpay.
// Those of Razorpay's test mode stand in
// https://razorpay.com/docs/payments/payments/test-card-details/ and
// https://razorpay.com/docs/payments/payments/test-upi-details/.
type Instrument struct {
	// VPA is a UPI id. "failure@razorpay" fails.
	VPA string
	// Card is a card's number, blanks or not. With one, VPA is nothing.
	Card string
	// OTP is what the patient types on the bank's page, with a Card: of 4 to 10 digits it is
	// right, shorter or longer it fails. If empty, the right one.
	OTP string
}

// otpRight is what test mode takes.
func (i Instrument) otpRight() bool { return i.OTP == "" || len(i.OTP) >= 4 && len(i.OTP) <= 10 }

// PayWith is Pay with an instrument of Razorpay's test mode. If the payment fails, the order
// stays open, and the error is a *Refusal with the Reason that the checkout shows.
func (s *Server) PayWith(orderID string, with Instrument) (Paid, error) {
	s.mu.Lock()
	o, err := s.payable(orderID)
	if err == nil && (with.Card == "" && with.VPA == "failure@razorpay" || with.Card != "" && !with.otpRight()) {
		failure := s.decline(o, with).failure
		err = &Refusal{
			Status: http.StatusBadRequest, Code: failure.Code, Description: failure.Description,
			Source: failure.Source, Step: failure.Step, Reason: failure.Reason,
		}
	}
	s.mu.Unlock()
	if err != nil {
		return Paid{}, err
	}
	return s.pay(orderID, with, func(o *order) (string, int64, int64) { return o.currency, o.due(), o.due() })
}

// fill writes what an instrument leaves in a payment's document.
func (i Instrument) fill(doc object) {
	if i.Card != "" {
		digits := strings.ReplaceAll(i.Card, " ", "")
		doc["method"], doc["vpa"] = "card", nil
		doc["card_id"] = "card_" + (digits + "00000000000000")[:14]
		return
	}
	if i.VPA != "" {
		doc["vpa"] = i.VPA
	}
}

// Documents returns all orders, payments and refunds as the API tells them, oldest first. It
// makes no request.
func (s *Server) Documents() (orders, payments, refunds []json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return documents(s.orders), documents(s.payments), documents(s.refunds)
}

func documents[E interface{ doc() object }](entities []E) []json.RawMessage {
	var all []json.RawMessage
	for _, e := range entities {
		encoded, _ := json.Marshal(e.doc()) // documents of ours always encode
		all = append(all, encoded)
	}
	return all
}
