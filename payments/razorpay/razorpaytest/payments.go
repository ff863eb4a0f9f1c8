package razorpaytest

import (
	"net/http"
)

// What can be expanded in a payment. All payments are by UPI, so that there is no card, no
// plan and no token in them.
const (
	expandCard    = "card"
	expandEMI     = "emi"
	expandOffers  = "offers"
	expandRefunds = "refunds"
	expandToken   = "token"
)

func (s *Server) expanded(p *payment, expand []string) object {
	doc := p.doc()
	for _, name := range expand {
		switch name {
		case expandRefunds:
			doc[name] = collection(s.refundDocs(p))
		case expandOffers:
			doc[name] = collection(nil)
		default:
			doc[name] = nil
		}
	}
	return doc
}

func (s *Server) getPayment(p *payment, c call) (object, *Refusal) {
	return s.expanded(p, c.expand), nil
}

func (s *Server) listPayments(c call) (object, *Refusal) {
	every := func(*payment) bool { return true }
	return page(c.params, s.payments, func(p *payment) int64 { return p.created }, every, func(p *payment) object {
		return s.expanded(p, c.expand)
	})
}

func (s *Server) editPayment(p *payment, c call) (object, *Refusal) {
	return edited(c, &p.notes, p.doc)
}

func (s *Server) capture(p *payment, c call) (object, *Refusal) {
	amount, refused := amountOf(c.params, "amount")
	if refused != nil {
		return nil, refused
	}
	currency, refused := textOf(c.params, "currency")
	switch {
	case refused != nil:
		return nil, refused
	case currency == "":
		return nil, refusal(http.StatusBadRequest, "The currency field is required.", "currency")
	case p.captured:
		return nil, refusal(http.StatusBadRequest, "This payment has already been captured", "")
	case p.status != "authorized":
		return nil, refusal(http.StatusBadRequest, "Only payments which have been authorized and not yet captured can be captured", "")
	case p.order.status == "paid":
		return nil, refusal(http.StatusBadRequest, "Order already paid", "")
	case amount != p.amount:
		return nil, refusal(http.StatusBadRequest, "Capture amount must be equal to the amount authorized", "amount")
	case currency != p.currency:
		return nil, refusal(http.StatusBadRequest, "Capture currency must be the currency of the payment", "currency")
	}
	s.take(p)
	return p.doc(), nil
}
