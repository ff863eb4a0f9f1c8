package local

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// The names of the providers, for Fault and Exchange.
const (
	Google   = "google"
	Zoom     = "zoom"
	Razorpay = "razorpay"
	Mail     = "mail"
	WhatsApp = "whatsapp"
)

// Names are the names of all providers.
func Names() []string { return []string{Google, Zoom, Razorpay, Mail, WhatsApp} }

// Operations are what a Fault of a provider can be for. It is nil for what is no name.
func Operations(provider string) []string {
	return map[string][]string{
		Google: {
			googlemeettest.OpInsert, googlemeettest.OpGet, googlemeettest.OpPatch, googlemeettest.OpUpdate, googlemeettest.OpDelete,
			googlemeettest.OpList, googlemeettest.OpFreeBusy, googlemeettest.OpToken, googlemeettest.OpRevoke,
		},
		Zoom: {
			zoomtest.OpCreate, zoomtest.OpGet, zoomtest.OpUpdate, zoomtest.OpDelete, zoomtest.OpList, zoomtest.OpStatus, zoomtest.OpMe,
			zoomtest.OpToken, zoomtest.OpRevoke,
		},
		Razorpay: {
			razorpaytest.OpCreateOrder, razorpaytest.OpOrder, razorpaytest.OpListOrders, razorpaytest.OpOrderPayments,
			razorpaytest.OpPayment, razorpaytest.OpListPayments, razorpaytest.OpCapture, razorpaytest.OpCreateRefund,
			razorpaytest.OpRefund, razorpaytest.OpListRefunds,
		},
		Mail:     {smtptest.OpConnect, smtptest.OpLogin, smtptest.OpMail, smtptest.OpRcpt, smtptest.OpData},
		WhatsApp: {whatsapptest.OpSend, whatsapptest.OpMedia, whatsapptest.OpTemplates, whatsapptest.OpProfile},
	}[provider]
}

// Kinds are what can go wrong: see Fault.
func Kinds() []string {
	return []string{"fail", "limit", "lose request", "lose answer", "cut", "hang", "delay"}
}

// Fault is something that goes wrong at a provider, in words that mean the same at all of
// them.
type Fault struct {
	// Provider is one of Names.
	Provider string
	// Op is one of its Operations. If empty, any but those for tokens.
	Op string
	// Kind is one of Kinds:
	//
	//   - "fail": answered with Status, and nothing is done. If that is 0, 500, and 451 for
	//     mail.
	//   - "limit": answered with too many requests, and nothing is done.
	//   - "lose request": the connection ends, and nothing is done.
	//   - "lose answer": it is done, and the connection ends.
	//   - "cut": it is done, and half of the answer is sent.
	//   - "hang": nothing is done or answered until the client goes.
	//   - "delay": it is done Delay late.
	Kind string
	// Times is how many requests it is for: one if 0, all until a reset if negative.
	Times  int
	Status int
	Delay  time.Duration
}

// shape returns the fault as the kits have it.
func (f Fault) shape() (fake.Fault, error) {
	ops := Operations(f.Provider)
	switch {
	case ops == nil:
		return fake.Fault{}, fmt.Errorf("provider: %q is none of %s", f.Provider, strings.Join(Names(), ", "))
	case f.Op != "" && !slices.Contains(ops, f.Op):
		return fake.Fault{}, fmt.Errorf("op: %q is none of %s", f.Op, strings.Join(ops, ", "))
	}
	shape := fake.Fault{Op: f.Op}
	switch f.Kind {
	case "fail":
		if f.Status == 0 {
			f.Status = map[bool]int{false: http.StatusInternalServerError, true: 451}[f.Provider == Mail]
		}
		if f.Status < 400 || f.Status > 599 {
			return fake.Fault{}, errors.New("status: is not from 400 to 599")
		}
		shape = refusal(f.Provider, f.Op, f.Status)
	case "limit":
		shape = tooMany(f.Provider, f.Op)
	case "lose request":
		shape.LoseRequest = true
	case "lose answer":
		shape.LoseAnswer = true
	case "cut":
		shape.Cut = true
	case "hang":
		shape.Hang = true
	case "delay":
		if f.Delay <= 0 {
			return fake.Fault{}, errors.New("delay: is required for a delay")
		}
	default:
		return fake.Fault{}, fmt.Errorf("kind: %q is none of %s", f.Kind, strings.Join(Kinds(), ", "))
	}
	shape.Times, shape.Delay = f.Times, f.Delay
	return shape, nil
}

// refusal answers with a status in the provider's own form.
func refusal(provider, op string, status int) fake.Fault {
	words := http.StatusText(status)
	switch provider {
	case Google:
		reason := "backendError"
		if status < 500 {
			reason = "badRequest"
		}
		return fake.Fault(googlemeettest.Refuse(op, status, reason, words))
	case Zoom:
		return fake.Fault(zoomtest.Refuse(op, status, status, words))
	case Razorpay:
		return fake.Fault(razorpaytest.Refuse(op, status, words))
	case WhatsApp:
		return fake.Fault(whatsapptest.Refuse(op, status, 131000, "Something went wrong"))
	}
	class := "4.3.0 Try again later"
	if status >= 500 {
		class = "5.3.0 Refused"
	}
	return fake.Fault{Op: op, Status: status, Body: class}
}

// tooMany answers as the provider answers who asks too often.
func tooMany(provider, op string) fake.Fault {
	const status = http.StatusTooManyRequests
	var f fake.Fault
	switch provider {
	case Google:
		return fake.Fault(googlemeettest.Refuse(op, status, "rateLimitExceeded", "Rate Limit Exceeded"))
	case Zoom:
		f = fake.Fault(zoomtest.Refuse(op, status, 429, "You have reached the maximum per-second rate limit for this API. Try again later."))
	case Razorpay:
		f = fake.Fault(razorpaytest.Refuse(op, status, "Request failed. Please try after sometime."))
	case WhatsApp:
		return fake.Fault(whatsapptest.Refuse(op, 0, 130429, "Rate limit hit"))
	default:
		return fake.Fault{Op: op, Status: 451, Body: "4.7.1 Too many messages, slow down"}
	}
	if f.Header == nil {
		f.Header = http.Header{}
	}
	f.Header.Set("Retry-After", "1")
	return f
}

// FailNext makes coming requests go wrong. An error names what is wrong with f, or says that
// the provider is a real one.
func (p *Providers) FailNext(f Fault) error {
	shape, err := f.shape()
	switch {
	case err != nil:
		return err
	case f.Provider == Google && p.Google != nil:
		p.Google.FailNext(googlemeettest.Fault(shape))
	case f.Provider == Zoom && p.Zoom != nil:
		p.Zoom.FailNext(zoomtest.Fault(shape))
	case f.Provider == Razorpay && p.Razorpay != nil:
		p.Razorpay.FailNext(razorpaytest.Fault(shape))
	case f.Provider == Mail && p.Mail != nil:
		p.Mail.FailNext(smtptest.Fault(shape))
	case f.Provider == WhatsApp && p.WhatsApp != nil:
		p.WhatsApp.FailNext(whatsapptest.Fault(shape))
	default:
		return fmt.Errorf("provider: %s does not run here", f.Provider)
	}
	return nil
}

// Pending returns the faults that have not shown, by provider.
func (p *Providers) Pending() []Fault {
	var left []Fault
	if p.Google != nil {
		left = append(left, named(Google, p.Google.Pending())...)
	}
	if p.Zoom != nil {
		left = append(left, named(Zoom, p.Zoom.Pending())...)
	}
	if p.Razorpay != nil {
		left = append(left, named(Razorpay, p.Razorpay.Pending())...)
	}
	if p.Mail != nil {
		left = append(left, named(Mail, p.Mail.Pending())...)
	}
	if p.WhatsApp != nil {
		left = append(left, named(WhatsApp, p.WhatsApp.Pending())...)
	}
	return left
}

// ClearFaults drops the faults that have not shown, and nothing else.
func (p *Providers) ClearFaults() {
	if p.Google != nil {
		p.Google.ClearFaults()
	}
	if p.Zoom != nil {
		p.Zoom.ClearFaults()
	}
	if p.Razorpay != nil {
		p.Razorpay.ClearFaults()
	}
	if p.Mail != nil {
		p.Mail.ClearFaults()
	}
	if p.WhatsApp != nil {
		p.WhatsApp.ClearFaults()
	}
}

// fault is the shape that all kits' faults have.
type fault interface {
	googlemeettest.Fault | zoomtest.Fault | razorpaytest.Fault | smtptest.Fault | whatsapptest.Fault
}

// named says in words what the kits' faults are.
func named[F fault](provider string, faults []F) []Fault {
	var all []Fault
	for _, f := range faults {
		shape := fake.Fault(f)
		all = append(all, Fault{
			Provider: provider, Op: shape.Op, Kind: kind(provider, shape), Times: max(shape.Times, -1), Status: shape.Status, Delay: shape.Delay,
		})
	}
	return all
}

// kind is the one that a fault was made of.
func kind(provider string, f fake.Fault) string {
	switch {
	case f.LoseRequest:
		return "lose request"
	case f.LoseAnswer:
		return "lose answer"
	case f.Cut:
		return "cut"
	case f.Hang:
		return "hang"
	case f.Status == 0:
		return "delay"
	case f.Body == tooMany(provider, f.Op).Body:
		return "limit"
	}
	return "fail"
}
