package razorpay

import (
	"encoding/json"
	"net/url"
	"unicode"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/payments"
)

// CheckoutScript is the address of the script that opens the payment form on
// the application's page. In a test the application points its page at a page of the test
// server instead; see package razorpaytest.
const CheckoutScript = "https://checkout.razorpay.com/v1/checkout.js"

// Checkout returns the options for `new Razorpay(options)` as JSON. The page
// adds its handler function, and posts what the handler gets to the application, which
// reads it with [Client.ParseCallback]. With ui.Redirect the browser posts the outcome
// to ui.CallbackURL by itself.
//
// The JSON holds the key id, never the secret. It escapes <, > and &, so that
// it can stand inside a <script> element.
//
// https://razorpay.com/docs/payments/payment-gateway/web-integration/standard/integration-steps
func (c *Client) Checkout(o *payments.Order, ui payments.CheckoutUI) (json.RawMessage, error) {
	if err := validateCheckout(o, ui); err != nil {
		return nil, err
	}
	options := checkoutOptions{
		Key: c.keyID, OrderID: o.ID, Amount: o.Amount.Minor, Currency: string(o.Amount.Currency),
		Name: ui.Name, Description: ui.Description, Image: ui.ImageURL,
		Prefill:     checkoutPrefill{ui.Prefill.Name, ui.Prefill.Email, ui.Prefill.Phone},
		CallbackURL: ui.CallbackURL, Redirect: ui.Redirect,
	}
	options.Theme.Color = ui.Color
	options.Config.Display.Language = ui.Locale
	return json.Marshal(options)
}

type checkoutOptions struct {
	Key         string          `json:"key"`
	OrderID     string          `json:"order_id"`
	Amount      int64           `json:"amount"`
	Currency    string          `json:"currency"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Image       string          `json:"image,omitempty"`
	Prefill     checkoutPrefill `json:"prefill,omitzero"`
	CallbackURL string          `json:"callback_url,omitempty"`
	Redirect    bool            `json:"redirect,omitempty"`
	Theme       struct {
		Color string `json:"color"`
	} `json:"theme,omitzero"`
	Config struct {
		Display struct {
			Language string `json:"language"`
		} `json:"display"`
	} `json:"config,omitzero"`
}

type checkoutPrefill struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	Phone string `json:"contact,omitempty"`
}

func validateCheckout(o *payments.Order, ui payments.CheckoutUI) error {
	var p fault.Problems
	if o == nil {
		p.Add("Order", "is required")
	} else {
		requireID(&p, "Order.ID", o.ID, "order")
		p.Check(o.Status != payments.OrderPaid, "Order", "is paid already")
		p.Check(o.Amount.Minor > 0, "Order.Amount", "must be more than zero")
	}
	p.Required("Name", ui.Name)
	first := []rune(ui.Description)
	p.Check(len(first) == 0 || unicode.IsLetter(first[0]) || unicode.IsDigit(first[0]), "Description", "must start with a letter or digit")
	p.Check(ui.CallbackURL == "" || webAddress(ui.CallbackURL), "CallbackURL", "is not an absolute http(s) address")
	p.Check(!ui.Redirect || ui.CallbackURL != "", "CallbackURL", "is required to redirect")
	p.Check(ui.ImageURL == "" || webAddress(ui.ImageURL), "ImageURL", "is not an absolute http(s) address")
	return p.Err("razorpay: Checkout")
}

func webAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}
