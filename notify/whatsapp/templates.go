package whatsapp

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
)

// Definition is a template at Meta, in one language. JSON has Meta's names.
// https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/overview
type Definition struct {
	// ID is Meta's. CreateTemplate ignores it, and Status.
	ID string `json:"id,omitempty"`
	// Name and Language are what a Call calls it by.
	Name     string `json:"name"`
	Language string `json:"language"`
	// Category is "UTILITY", "AUTHENTICATION" or "MARKETING". They cost differently, and Meta
	// may put a template into another.
	Category string `json:"category"`
	// Status is "APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED" …
	Status string `json:"status,omitempty"`
	// ParameterFormat is "NAMED" or "POSITIONAL", which is meant if it is empty.
	ParameterFormat string `json:"parameter_format,omitempty"`
	// Components are the header, the body, the footer and the buttons.
	Components []Component `json:"components"`
}

// Component is a part of a Definition.
type Component struct {
	// Type is "HEADER", "BODY", "FOOTER" or "BUTTONS".
	Type string `json:"type"`
	// Format is a header's: "TEXT", "IMAGE", "VIDEO", "DOCUMENT" or "LOCATION".
	Format string `json:"format,omitempty"`
	// Text has parameters {{1}}, {{2}} …, or {{names}}.
	Text string `json:"text,omitempty"`
	// Buttons are those of a component "BUTTONS".
	Buttons []ComponentButton `json:"buttons,omitempty"`
	// Example shows Meta's reviewers what parameters look like, in the form that Meta
	// documents for the type, such as {"body_text": [["Asha", "3 pm"]]}. Required by Meta where
	// there are parameters.
	Example map[string]any `json:"example,omitempty"`
}

// ComponentButton is a button of a template.
type ComponentButton struct {
	// Type is "QUICK_REPLY", "URL", "PHONE_NUMBER", "COPY_CODE" or "FLOW".
	Type string `json:"type"`
	// Text is what it says, up to 25 characters.
	Text string `json:"text,omitempty"`
	// URL may end in {{1}}.
	URL string `json:"url,omitempty"`
	// PhoneNumber is called.
	PhoneNumber string `json:"phone_number,omitempty"`
	// FlowID is the flow that is opened.
	FlowID string `json:"flow_id,omitempty"`
	// Example is for URLs with {{1}}, and the code of a COPY_CODE.
	Example any `json:"example,omitempty"`
}

const definitionFields = "id,name,language,category,status,parameter_format,components"

type definitionPage struct {
	Data   []Definition `json:"data"`
	Paging struct {
		Cursors struct {
			After string `json:"after"`
		} `json:"cursors"`
		Next string `json:"next"`
	} `json:"paging"`
}

// Templates returns the account's templates, in every language, page by page as they are
// asked for (GET /{version}/{business-account-id}/message_templates). An error ends them.
func (c *Client) Templates(ctx context.Context) iter.Seq2[Definition, error] {
	return func(yield func(Definition, error) bool) { c.templates(ctx, "", yield) }
}

// templates yields all templates, or those whose names have name in them.
func (c *Client) templates(ctx context.Context, name string, yield func(Definition, error) bool) {
	query := url.Values{"fields": {definitionFields}, "limit": {"100"}}
	if name != "" {
		query.Set("name", name)
	}
	seen := unique{}
	for {
		var page definitionPage
		err := c.manage(ctx, "Templates", rest.Request{Query: query}, &page)
		if err != nil {
			yield(Definition{}, err)
			return
		}
		for _, d := range page.Data {
			if !yield(d, nil) {
				return
			}
		}
		after := page.Paging.Cursors.After
		if page.Paging.Next == "" || after == "" {
			return
		}
		if seen[after] {
			yield(Definition{}, errors.New("whatsapp: Templates: a page comes twice"))
			return
		}
		seen[after] = true
		query.Set("after", after)
	}
}

// CreateTemplate asks Meta to approve a template (POST …/message_templates) and returns its
// ID, and its Status, which mostly is "PENDING": the decision comes as a [Change] of the
// Field "message_template_status_update". A name and language that is taken is
// telemed.ErrInvalid.
func (c *Client) CreateTemplate(ctx context.Context, d Definition) (Definition, error) {
	if err := d.validate(); err != nil {
		return Definition{}, err
	}
	d.ID, d.Status = "", ""
	var answer struct {
		ID       text   `json:"id"`
		Status   string `json:"status"`
		Category string `json:"category"`
	}
	if err := c.manage(ctx, "CreateTemplate", rest.Request{Method: http.MethodPost, JSON: d}, &answer); err != nil {
		return Definition{}, err
	}
	d.ID, d.Status, d.Category = string(answer.ID), answer.Status, first(answer.Category, d.Category)
	return d, nil
}

// DeleteTemplate deletes a template in all its languages (DELETE …/message_templates). Meta
// gives its name to no other for 30 days. One that is not there is telemed.ErrNotFound.
func (c *Client) DeleteTemplate(ctx context.Context, name string) error {
	if !templateName.MatchString(name) {
		return fault.Invalid("whatsapp: DeleteTemplate", "name", nameForm)
	}
	return c.manage(ctx, "DeleteTemplate", rest.Request{Method: http.MethodDelete, Query: url.Values{"name": {name}}}, nil)
}

// manage makes a call about the account's templates.
func (c *Client) manage(ctx context.Context, op string, call rest.Request, out any) error {
	if c.cfg.BusinessAccountID == "" {
		return fault.Invalid("whatsapp: "+op, "Config.BusinessAccountID", "is required for templates")
	}
	call.Path = rest.Path(c.cfg.Version, c.cfg.BusinessAccountID, "message_templates")
	if _, err := c.api.Do(ctx, call, out); err != nil {
		return newError(ctx, op, err)
	}
	return nil
}

func (d *Definition) validate() error {
	var p fault.Problems
	p.Check(templateName.MatchString(d.Name), "Name", nameForm)
	p.Check(languagePattern.MatchString(d.Language), "Language", languageForm)
	p.Check(d.Category == "UTILITY" || d.Category == "AUTHENTICATION" || d.Category == "MARKETING", "Category", "is not Meta's")
	p.Check(d.ParameterFormat == "" || d.ParameterFormat == "NAMED" || d.ParameterFormat == "POSITIONAL", "ParameterFormat", "is not Meta's")
	types := unique{}
	for i, part := range d.Components {
		field := "Components[" + strconv.Itoa(i) + "]"
		types.check(&p, field+".Type", part.Type)
		switch part.Type {
		case "HEADER":
			limited(&p, field+".Text", part.Text, 60)
		case "BODY":
			limited(&p, field+".Text", part.Text, 1024)
		case "FOOTER":
			limited(&p, field+".Text", part.Text, 60)
		case "BUTTONS":
			p.Check(len(part.Buttons) >= 1 && len(part.Buttons) <= 10, field+".Buttons", "are not 1 to 10")
			for j, b := range part.Buttons {
				limited(&p, field+".Buttons["+strconv.Itoa(j)+"].Text", b.Text, 25)
			}
		default:
			p.Add(field+".Type", "is not Meta's")
		}
	}
	p.Check(types["BODY"], "Components", "have no BODY")
	return p.Err("whatsapp: CreateTemplate")
}
