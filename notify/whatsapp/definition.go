package whatsapp

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

const (
	// definitionTimeout bounds how long a message waits for the definition of its template.
	definitionTimeout = 5 * time.Second
	// definitionPause is how long Meta is not asked again after it could not say.
	definitionPause = time.Minute
)

// definitions are what is known of templates, by name and language.
type definitions struct {
	mu  sync.Mutex
	all map[string]*known
}

// known is what is known of one template. Whoever has the turn may look at it.
type known struct {
	turn       chan struct{}
	definition *Definition
	asked      time.Time // when Meta was asked for it
	again      time.Time // when Meta may be asked again
}

func (d *definitions) of(name, language string) *known {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = map[string]*known{}
	}
	key := name + "/" + language
	if d.all[key] == nil {
		d.all[key] = &known{turn: make(chan struct{}, 1)}
	}
	return d.all[key]
}

// checkTemplate compares a call with Meta's definition, which is asked for once in a process.
// If Meta cannot say, the message goes out unchecked: Meta judges it by itself then. A
// definition that does not fit is asked for again, since somebody may have mended it.
func (c *Client) checkTemplate(ctx context.Context, call *Call) error {
	if c.cfg.BusinessAccountID == "" {
		return nil
	}
	k, came := c.known.of(call.Name, call.Language), time.Now()
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return &Error{Op: "Templates", kind: telemed.ErrUnavailable, Err: ctx.Err()}
	}
	if k.definition != nil {
		if err := k.definition.fits(call); err == nil {
			return nil
		}
	}
	if time.Now().Before(k.again) || !k.asked.Before(came) { // others asked while this one waited
		return k.definition.fits(call)
	}
	asked := time.Now()
	found, err := c.define(ctx, call)
	switch {
	case ctx.Err() != nil:
		return &Error{Op: "Templates", kind: telemed.ErrUnavailable, Err: ctx.Err()}
	case err != nil:
		k.again = time.Now().Add(definitionPause)
		c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "whatsapp template is sent unchecked: its definition cannot be read",
			slog.String("template", call.Name), slog.String("error", err.Error()))
		return k.definition.fits(call)
	}
	k.definition, k.asked = found, asked
	return found.fits(call)
}

// doubt forgets the definition of a template that Meta has just refused a call of.
func (c *Client) doubt(req *request, e *Error) {
	t, ok := req.Template.(template)
	if !ok || !e.HasCode || e.Code < 132000 || e.Code > 132099 {
		return
	}
	c.known.mu.Lock()
	defer c.known.mu.Unlock()
	delete(c.known.all, t.Name+"/"+t.Language.Code)
}

// define asks Meta for the definition of the template that is called. One that does not
// exist has a Name and no Status.
func (c *Client) define(ctx context.Context, call *Call) (*Definition, error) {
	ctx, cancel := context.WithTimeout(ctx, definitionTimeout)
	defer cancel()
	found := &Definition{Name: call.Name, Language: call.Language}
	var failed error
	c.templates(ctx, call.Name, func(d Definition, err error) bool {
		if err != nil {
			failed = err
			return false
		}
		if d.Name == call.Name && d.Language == call.Language {
			found = &d
			return false
		}
		return true
	})
	return found, failed
}

// fits reports what of a call does not fit the definition. Nil: nothing is known.
func (d *Definition) fits(call *Call) error {
	if d == nil {
		return nil
	}
	if d.Status == "" {
		return fault.Invalid("whatsapp", "Content.Name", "no template has this name in this language at Meta")
	}
	if d.Status != "APPROVED" {
		return &Error{Op: "Templates", kind: telemed.ErrForbidden, Err: errNotApproved}
	}
	var p fault.Problems
	parts := map[string]Component{}
	for _, part := range d.Components {
		parts[part.Type] = part
	}
	d.fitsBody(&p, call.Body, parts["BODY"])
	d.fitsHeader(&p, call.Header, parts["HEADER"])
	if d.Category != "AUTHENTICATION" {
		fitsButtons(&p, call.Buttons, parts["BUTTONS"].Buttons)
	}
	return p.Err("whatsapp")
}

var errNotApproved = errors.New("the template is not approved")

var placePattern = regexp.MustCompile(`\{\{\s*([0-9]{1,3}|[a-z][a-z0-9_]*)\s*\}\}`)

// places returns the parameters of a text, each once, in order.
func places(text string) []string {
	var all []string
	seen := unique{}
	for _, found := range placePattern.FindAllStringSubmatch(text, -1) {
		if !seen[found[1]] {
			seen[found[1]] = true
			all = append(all, found[1])
		}
	}
	return all
}

func (d *Definition) fitsBody(p *fault.Problems, given []Parameter, body Component) {
	if d.Category == "AUTHENTICATION" && body.Text == "" { // Meta writes its body
		return
	}
	want := places(body.Text)
	p.Check(len(given) == len(want), "Content.Body", "has %d parameters, and the template at Meta %d", len(given), len(want))
	named := strings.EqualFold(d.ParameterFormat, "NAMED")
	wanted := unique{}
	for _, name := range want {
		wanted[name] = true
	}
	for i, v := range given {
		field := "Content.Body[" + strconv.Itoa(i) + "].Name"
		switch {
		case named && v.Name == "":
			p.Add(field, "is required: the template's parameters are named")
		case named && !wanted[v.Name]:
			p.Add(field, "is no parameter of the template")
		case !named && v.Name != "":
			p.Add(field, "is given, and the template's parameters are numbered")
		}
	}
}

// headerFormat is the Format of a header that a parameter fits.
func (v *Parameter) headerFormat() string {
	switch {
	case v == nil:
		return ""
	case v.Image != nil:
		return "IMAGE"
	case v.Video != nil:
		return "VIDEO"
	case v.Document != nil:
		return "DOCUMENT"
	}
	return "TEXT"
}

func (d *Definition) fitsHeader(p *fault.Problems, given *Parameter, header Component) {
	const field = "Content.Header"
	kind := given.headerFormat()
	want := header.Format
	if kind == "TEXT" && want == "TEXT" {
		named := strings.EqualFold(d.ParameterFormat, "NAMED")
		p.Check(!named || slices.Contains(places(header.Text), given.Name), field+".Name", "is no parameter of the template's header")
		p.Check(named || given.Name == "", field+".Name", "is given, and the template's parameters are numbered")
	}
	if want == "TEXT" && len(places(header.Text)) == 0 || want == "LOCATION" {
		want = "" // nothing to fill, or nothing that is known here
	}
	switch {
	case kind == want:
	case want == "":
		p.Add(field, "is given, and the template has nothing to fill there")
	case kind == "":
		p.Add(field, "is required by the template")
	default:
		p.Add(field, "is of another type than the template's")
	}
}

func fitsButtons(p *fault.Problems, given []CallButton, buttons []ComponentButton) {
	filled := map[int]bool{}
	for i, b := range given {
		field := "Content.Buttons[" + strconv.Itoa(i) + "]"
		if b.Index >= len(buttons) {
			p.Add(field+".Index", "is of a button that the template does not have")
			continue
		}
		filled[b.Index] = true
		kind, _ := b.object()
		at := buttons[b.Index]
		p.Check(strings.EqualFold(kind, at.Type), field, "is of another type than the template's button")
		p.Check(at.Type != "URL" || len(places(at.URL)) > 0, field, "is given, and the button's address has nothing to fill")
	}
	for i, b := range buttons {
		needs := b.Type == "URL" && len(places(b.URL)) > 0 || b.Type == "COPY_CODE"
		p.Check(!needs || filled[i], "Content.Buttons", "lack what button %d of the template needs", i)
	}
}
