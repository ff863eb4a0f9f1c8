package local

import (
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// Exchange is a request to a provider, a command to the mail server, or a webhook from a
// provider. There is no secret in it: no Authorization, nothing of what goes to and fro for
// tokens, and what a body or a query calls a password, a token, a secret or a code is left
// out.
type Exchange struct {
	// Provider is one of Names.
	Provider string
	// Op is one of the provider's operations, or the type of a webhook's event.
	Op string
	// Webhook is true if the provider has asked the application.
	Webhook bool
	// Method, Path and Body are empty for mail. Path has the query.
	Method, Path, Body string
	// Status is what was answered. It is 0 if nothing was, or not yet.
	Status int
	// At is when it was, by this machine's clock.
	At time.Time
}

// Wire returns what went over the wire since the last Reset, and more beside it, oldest
// first.
func (p *Providers) Wire(more ...Exchange) []Exchange {
	all, _ := p.Latest(math.MaxInt, more...)
	return all
}

// Latest is the last n of Wire, and how many came before them. It is quick however many
// those are.
func (p *Providers) Latest(n int, more ...Exchange) (latest []Exchange, before int) {
	all := append(p.arrived(), more...)
	slices.SortStableFunc(all, func(a, b Exchange) int { return a.At.Compare(b.At) })
	before = max(len(all)-n, 0)
	latest = all[before:]
	for i := range latest {
		latest[i].Body = safe(latest[i].Body)
	}
	return latest, before
}

// arrived is what went over the wire, in no order, with the bodies as they were.
func (p *Providers) arrived() []Exchange {
	var all []Exchange
	if p.Google != nil {
		all = append(all, requests(Google, p.Google.Requests())...)
	}
	if p.Zoom != nil {
		all = append(all, requests(Zoom, p.Zoom.Requests())...)
	}
	if p.Razorpay != nil {
		all = append(all, requests(Razorpay, p.Razorpay.Requests())...)
		for _, d := range p.Razorpay.Deliveries() {
			all = append(all, webhook(Razorpay, d.Event.Type, d.Event.Body, d.Status, d.At))
		}
	}
	if p.Mail != nil {
		for _, c := range p.Mail.Commands() {
			all = append(all, Exchange{Provider: Mail, Op: c.Op, Status: c.Status, At: c.At})
		}
	}
	if p.WhatsApp != nil {
		all = append(all, requests(WhatsApp, p.WhatsApp.Requests())...)
		for _, d := range p.WhatsApp.Deliveries() {
			all = append(all, webhook(WhatsApp, d.Event.Type, d.Event.Body, d.Status, d.At))
		}
	}
	return all
}

// request is the shape that all kits' requests have.
type request interface {
	googlemeettest.Request | zoomtest.Request | razorpaytest.Request | whatsapptest.Request
}

func requests[R request](provider string, arrived []R) []Exchange {
	var all []Exchange
	for _, r := range arrived {
		shape := fake.Request(r)
		path := shape.Path
		if query := safeQuery(shape.Query); query != "" {
			path += "?" + query
		}
		all = append(all, Exchange{
			Provider: provider, Op: shape.Op, Method: shape.Method, Path: path, Body: shape.Body, Status: shape.Status, At: shape.At,
		})
	}
	return all
}

func webhook(provider, kind string, body []byte, status int, at time.Time) Exchange {
	return Exchange{Provider: provider, Op: kind, Webhook: true, Method: "POST", Body: string(body), Status: status, At: at}
}

// secretName matches what is not shown, whatever stands before it in the name.
const secretName = `[A-Za-z_-]*(?:[Pp]assword|[Tt]oken|[Ss]ecret|[Aa]uthorization|[Ss]ignature|[Cc]ode_verifier|[Pp]asscode)`

var (
	secretField = regexp.MustCompile(`("` + secretName + `"\s*:\s*)"(?:[^"\\]|\\.)*"`)
	secretForm  = regexp.MustCompile(`(^|[&?])(` + secretName + `)=[^&]*`)
	secretParam = regexp.MustCompile(`^` + secretName + `$`)
	anyText     = regexp.MustCompile(`("text"\s*:\s*)"(?:[^"\\]|\\.)*"`)
)

// passwordTemplate is the template that brings a one-time password.
const passwordTemplate = `"one_time_password"`

// safe leaves secrets out of a body, in JSON or a form.
func safe(body string) string {
	if strings.Contains(body, passwordTemplate) {
		body = anyText.ReplaceAllString(body, `$1"…"`)
	}
	body = secretField.ReplaceAllString(body, `$1"…"`)
	if strings.HasPrefix(strings.TrimSpace(body), "{") {
		return body
	}
	return secretForm.ReplaceAllString(body, "$1$2=…")
}

func safeQuery(query url.Values) string {
	kept := url.Values{}
	for name, values := range query {
		if secretParam.MatchString(name) || name == "code" {
			values = []string{""}
		}
		kept[name] = values
	}
	return kept.Encode()
}

// Reset drops the faults, the mails, the chats and what went over the wire. Orders, meetings,
// consents and tokens stay.
func (p *Providers) Reset() {
	if p.Google != nil {
		p.Google.Reset()
	}
	if p.Zoom != nil {
		p.Zoom.Reset()
	}
	if p.Razorpay != nil {
		p.Razorpay.Reset()
	}
	if p.Mail != nil {
		p.Mail.Reset()
	}
	if p.WhatsApp != nil {
		p.WhatsApp.Reset()
	}
}

// Advance moves the clocks of the providers ahead, past all that happens meanwhile: tokens
// expire, webhooks that were not taken come again, authorized payments go back. It returns
// when all that is done. The mail server has no clock of its own.
func (p *Providers) Advance(d time.Duration) {
	if p.Google != nil {
		p.Google.Advance(d)
	}
	if p.Zoom != nil {
		p.Zoom.Advance(d)
	}
	if p.Razorpay != nil {
		p.Razorpay.Advance(d)
	}
	if p.WhatsApp != nil {
		p.WhatsApp.Advance(d)
	}
}
