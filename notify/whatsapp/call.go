package whatsapp

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// Call calls a template that Meta approved.
type Call struct {
	// Name and Language are the template's: "visit_confirmed", "en_US". Required.
	Name, Language string
	// Header fills the header: a Media, or a Text if its line has a parameter. Nil if there is
	// nothing to fill.
	Header *Parameter
	// Body fills the body's parameters, in order, or by Name if the template's are named.
	Body []Parameter
	// Buttons fill those buttons that have something to fill.
	Buttons []CallButton
}

// Parameter fills one place of a template. Text, Currency, Date and one Media exclude each
// other.
type Parameter struct {
	// Name is the parameter's, if the template's are named.
	Name string
	// Text has no line break, no tab and no four spaces in a row.
	Text string
	// Currency is an amount of money.
	Currency *Currency
	// Date is a time that Meta may write in the reader's way.
	Date *Date
	// Image, Video or Document fill a header.
	Image, Video, Document *Media
}

// Currency is an amount of money.
type Currency struct {
	// Code is ISO 4217's: "INR".
	Code string
	// Thousandths is the amount times 1000.
	Thousandths int64
	// Fallback is the amount in words, which Meta shows. Required.
	Fallback string
}

// Date is a time.
type Date struct {
	// Fallback is the time in words, which Meta shows. Required.
	Fallback string
	// At is the time by the clock of its location. It may be zero.
	At time.Time
}

// CallButton fills a button of a template. One of Payload, URL, Coupon and Flow is given.
type CallButton struct {
	// Index is the button's place in the template, from 0.
	Index int
	// Payload comes back as [Inbound].ReplyID when a quick reply is pressed.
	Payload string
	// URL is the end of the button's address: what stands for {{1}}.
	URL string
	// Coupon is what the button copies.
	Coupon string
	// Flow opens the flow of the template's button; of FlowCall, Token and Data are used.
	Flow *FlowCall
}

// Template begins a conversation, or goes on with it, by a template that Meta approved.
func Template(call Call) Content {
	t := template{Name: call.Name, Language: language{call.Language}}
	if call.Header != nil {
		t.Components = append(t.Components, component{Type: "header", Parameters: []any{call.Header.object()}})
	}
	if len(call.Body) > 0 {
		body := component{Type: "body"}
		for _, value := range call.Body {
			body.Parameters = append(body.Parameters, value.object())
		}
		t.Components = append(t.Components, body)
	}
	for _, b := range call.Buttons {
		kind, parameter := b.object()
		t.Components = append(t.Components, component{
			Type: "button", Kind: kind, Index: strconv.Itoa(b.Index), Parameters: []any{parameter},
		})
	}
	return Content{kind: "template", body: t, template: &call, check: call.problems}
}

func (v Parameter) object() object {
	o := compact(object{"parameter_name": v.Name})
	for kind, m := range map[string]*Media{"image": v.Image, "video": v.Video, "document": v.Document} {
		if m != nil {
			o["type"], o[kind] = kind, m.object()
			return o
		}
	}
	switch {
	case v.Currency != nil:
		o["type"] = "currency"
		o["currency"] = object{"code": v.Currency.Code, "amount_1000": v.Currency.Thousandths, "fallback_value": v.Currency.Fallback}
	case v.Date != nil:
		o["type"], o["date_time"] = "date_time", v.Date.object()
	default:
		o["type"], o["text"] = "text", v.Text
	}
	return o
}

func (d Date) object() object {
	o := object{"fallback_value": d.Fallback}
	if d.At.IsZero() {
		return o
	}
	weekday := int(d.At.Weekday())
	if weekday == 0 {
		weekday = 7
	}
	o["calendar"], o["day_of_week"] = "GREGORIAN", weekday
	o["year"], o["month"], o["day_of_month"] = d.At.Year(), int(d.At.Month()), d.At.Day()
	o["hour"], o["minute"] = d.At.Hour(), d.At.Minute()
	return o
}

func (b CallButton) object() (kind string, parameter object) {
	switch {
	case b.URL != "":
		return "url", object{"type": "text", "text": b.URL}
	case b.Coupon != "":
		return "copy_code", object{"type": "coupon_code", "coupon_code": b.Coupon}
	case b.Flow != nil:
		action := compact(object{"flow_token": b.Flow.Token})
		if len(b.Flow.Data) > 0 {
			action["flow_action_data"] = b.Flow.Data
		}
		return "flow", object{"type": "action", "action": action}
	}
	return "quick_reply", object{"type": "payload", "payload": b.Payload}
}

var (
	templateName  = regexp.MustCompile(`^[a-z0-9_]{1,512}$`)
	parameterName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
)

const (
	nameForm     = "is not of lower case, digits and underscores"
	languageForm = `is not like "en" or "en_US"`
)

func (c *Call) problems(p *fault.Problems) {
	p.Check(templateName.MatchString(c.Name), "Content.Name", nameForm)
	p.Check(languagePattern.MatchString(c.Language), "Content.Language", languageForm)
	if c.Header != nil {
		c.Header.problems(p, "Content.Header")
	}
	named, names := 0, unique{}
	for i, v := range c.Body {
		field := "Content.Body[" + strconv.Itoa(i) + "]"
		v.problems(p, field)
		p.Check(v.Image == nil && v.Video == nil && v.Document == nil, field, "is media, which a header alone has")
		if v.Name != "" {
			named++
			names.check(p, field+".Name", v.Name)
		}
	}
	p.Check(named == 0 || named == len(c.Body), "Content.Body", "has names for some parameters alone")
	checkButtons(p, "Content.Buttons", c.Buttons)
}

func checkButtons(p *fault.Problems, field string, buttons []CallButton) {
	p.Check(len(buttons) <= 10, field, "are more than 10")
	places := unique{}
	for i, b := range buttons {
		at := field + "[" + strconv.Itoa(i) + "]"
		b.problems(p, at)
		places.check(p, at+".Index", strconv.Itoa(b.Index))
	}
}

func (v *Parameter) problems(p *fault.Problems, field string) {
	p.Check(v.Name == "" || parameterName.MatchString(v.Name), field+".Name", nameForm)
	kinds := 0
	for kind, m := range map[string]*Media{"image": v.Image, "video": v.Video, "document": v.Document} {
		if m != nil {
			kinds++
			m.problems(p, field, kind)
			p.Check(m.Caption == "", field+".Caption", "is not shown in a header")
		}
	}
	if v.Currency != nil {
		kinds++
		required(p, field+".Currency.Fallback", v.Currency.Fallback, 1024)
		p.Check(len(v.Currency.Code) == 3, field+".Currency.Code", "is not one of ISO 4217")
	}
	if v.Date != nil {
		kinds++
		required(p, field+".Date.Fallback", v.Date.Fallback, 1024)
	}
	if kinds == 0 || v.Text != "" {
		kinds++
		if problem := parameterProblem(v.Text); problem != "" {
			p.Add(field+".Text", "%s", problem)
		}
	}
	p.Check(kinds == 1, field, "has more than one value")
}

func (b *CallButton) problems(p *fault.Problems, field string) {
	p.Check(b.Index >= 0 && b.Index < 10, field+".Index", "is not 0 to 9")
	kinds := 0
	for _, value := range []string{b.Payload, b.URL, b.Coupon} {
		if value != "" {
			kinds++
		}
	}
	if b.Flow != nil {
		kinds++
		_, err := json.Marshal(b.Flow.Data)
		p.Check(err == nil, field+".Flow.Data", "cannot be JSON")
	}
	p.Check(kinds == 1, field, "needs one of Payload, URL, Coupon and Flow")
	limited(p, field+".Payload", b.Payload, 256)
	limited(p, field+".URL", b.URL, 2000)
	limited(p, field+".Coupon", b.Coupon, 15)
}

// LogValue tells nothing: it may hold words for a person.
func (Call) LogValue() slog.Value { return slog.StringValue("Call") }

// Format tells the same for every verb.
func (c Call) Format(f fmt.State, _ rune) { redact.Format(f, c) }

// LogValue tells nothing: it may hold words for a person.
func (Parameter) LogValue() slog.Value { return slog.StringValue("Parameter") }

// Format tells the same for every verb.
func (v Parameter) Format(f fmt.State, _ rune) { redact.Format(f, v) }

// LogValue tells nothing: it may hold words for a person.
func (CallButton) LogValue() slog.Value { return slog.StringValue("CallButton") }

// Format tells the same for every verb.
func (b CallButton) Format(f fmt.State, _ rune) { redact.Format(f, b) }
