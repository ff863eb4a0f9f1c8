package whatsapp

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// Frame is what stands around buttons and lists.
type Frame struct {
	// Body is the text, up to 1024 characters. Required, except by [Interactive] with
	// "catalog_message" or "product".
	Body string
	// Header is a line above it, up to 60 characters; HeaderImage, HeaderVideo and
	// HeaderDocument are shown in place of it. A list has a text alone.
	Header                                   string
	HeaderImage, HeaderVideo, HeaderDocument *Media
	// Footer is a grey line below it, up to 60 characters.
	Footer string
}

// Button is a button that answers.
type Button struct {
	// ID comes back as [Inbound].ReplyID, up to 256 characters. Required and unique.
	ID string
	// Title is what it says, up to 20 characters. Required and unique.
	Title string
}

// Section is a part of a list.
type Section struct {
	// Title stands above it, up to 24 characters. Required if there are several sections.
	Title string
	// Rows are at most 10 in all sections together.
	Rows []Row
}

// Row is a line of a list that can be chosen.
type Row struct {
	// ID comes back as [Inbound].ReplyID, up to 200 characters. Required and unique.
	ID string
	// Title is up to 24 characters. Required.
	Title string
	// Description is up to 72 characters.
	Description string
}

// Buttons asks with one to three buttons.
func Buttons(frame Frame, buttons ...Button) Content {
	var all []object
	for _, b := range buttons {
		all = append(all, object{"type": "reply", "reply": object{"id": b.ID, "title": b.Title}})
	}
	return frame.content("button", object{"buttons": all}, func(p *fault.Problems) {
		p.Check(len(buttons) >= 1 && len(buttons) <= 3, "Content.Buttons", "are not 1 to 3")
		ids, titles := unique{}, unique{}
		for i, b := range buttons {
			field := "Content.Buttons[" + strconv.Itoa(i) + "]"
			required(p, field+".ID", b.ID, 256)
			required(p, field+".Title", b.Title, 20)
			ids.check(p, field+".ID", b.ID)
			titles.check(p, field+".Title", b.Title)
		}
	})
}

// List asks with a list that button opens. button is up to 20 characters.
func List(frame Frame, button string, sections ...Section) Content {
	var all []object
	for _, s := range sections {
		var rows []object
		for _, r := range s.Rows {
			rows = append(rows, compact(object{"id": r.ID, "title": r.Title, "description": r.Description}))
		}
		all = append(all, compact(object{"title": s.Title, "rows": rows}))
	}
	return frame.content("list", object{"button": button, "sections": all}, func(p *fault.Problems) {
		p.Check(frame.HeaderImage == nil && frame.HeaderVideo == nil && frame.HeaderDocument == nil,
			"Content.Frame", "has another header than a text")
		required(p, "Content.Button", button, 20)
		checkSections(p, sections)
	})
}

func checkSections(p *fault.Problems, sections []Section) {
	rows, ids := 0, unique{}
	for i, s := range sections {
		field := "Content.Sections[" + strconv.Itoa(i) + "]"
		limited(p, field+".Title", s.Title, 24)
		p.Check(s.Title != "" || len(sections) == 1, field+".Title", "is required")
		p.Check(len(s.Rows) > 0, field+".Rows", "is required")
		rows += len(s.Rows)
		for j, r := range s.Rows {
			row := field + ".Rows[" + strconv.Itoa(j) + "]"
			required(p, row+".ID", r.ID, 200)
			required(p, row+".Title", r.Title, 24)
			limited(p, row+".Description", r.Description, 72)
			ids.check(p, row+".ID", r.ID)
		}
	}
	p.Check(rows >= 1 && rows <= 10, "Content.Sections", "have not 1 to 10 rows")
}

// Link shows a button that opens an https address. title is up to 20 characters.
func Link(frame Frame, title, url string) Content {
	action := object{"name": "cta_url", "parameters": object{"display_text": title, "url": url}}
	return frame.content("cta_url", action, func(p *fault.Problems) {
		required(p, "Content.Title", title, 20)
		p.Check(httpsLink(url), "Content.URL", "is not an https address")
	})
}

// AskLocation asks the person to share where they are.
func AskLocation(body string) Content {
	return Frame{Body: body}.content("location_request_message", object{"name": "send_location"}, nil)
}

// FlowCall opens a flow, which is a form that was made at Meta.
type FlowCall struct {
	// ID or Name is the flow's at Meta. One is required.
	ID, Name string
	// Token comes back with the answers; see [Inbound].Answers. Required by flows with an
	// endpoint of the application's.
	Token string
	// Button opens it, up to 30 characters. Required.
	Button string
	// Screen is the first one, and Data what it is given. Without a Screen, the flow's
	// endpoint says it.
	Screen string
	Data   map[string]any
	// Draft opens a flow that is not published, for tests.
	Draft bool
}

// Flow asks with a form. The answers come as [Inbound].Answers.
func Flow(frame Frame, flow FlowCall) Content {
	parameters := compact(object{
		"flow_message_version": "3", "flow_id": flow.ID, "flow_name": flow.Name, "flow_token": flow.Token,
		"flow_cta": flow.Button, "flow_action": "data_exchange",
	})
	if flow.Draft {
		parameters["mode"] = "draft"
	}
	if flow.Screen != "" {
		payload := object{"screen": flow.Screen}
		if len(flow.Data) > 0 {
			payload["data"] = flow.Data
		}
		parameters["flow_action"], parameters["flow_action_payload"] = "navigate", payload
	}
	return frame.content("flow", object{"name": "flow", "parameters": parameters}, func(p *fault.Problems) {
		p.Check((flow.ID == "") != (flow.Name == ""), "Content.Flow", "needs either an ID or a Name")
		required(p, "Content.Flow.Button", flow.Button, 30)
		p.Check(flow.Screen != "" || len(flow.Data) == 0, "Content.Flow.Data", "is given without a Screen")
		_, err := json.Marshal(flow.Data)
		p.Check(err == nil, "Content.Flow.Data", "cannot be JSON")
	})
}

// Interactive is one of Meta's interactive messages that has no function here: a catalog
// ("catalog_message"), products, or a bill ("order_details"). action is its JSON as Meta
// documents it, and only its form is checked.
func Interactive(kind string, frame Frame, action json.RawMessage) Content {
	return frame.content(kind, action, func(p *fault.Problems) {
		required(p, "Content.Kind", kind, 64)
		p.Check(json.Valid(action), "Content.Action", "is not JSON")
	})
}

// content is an interactive message.
func (f Frame) content(kind string, action any, check func(p *fault.Problems)) Content {
	body := object{"type": kind, "action": action}
	if f.Body != "" {
		body["body"] = object{"text": f.Body}
	}
	if f.Footer != "" {
		body["footer"] = object{"text": f.Footer}
	}
	if f.Header != "" {
		body["header"] = object{"type": "text", "text": f.Header}
	}
	for format, m := range f.media() {
		body["header"] = object{"type": format, format: m.object()}
	}
	return Content{kind: "interactive", body: body, check: func(p *fault.Problems) {
		f.problems(p, kind)
		if check != nil {
			check(p)
		}
	}}
}

func (f Frame) media() map[string]*Media {
	all := map[string]*Media{}
	for kind, m := range map[string]*Media{"image": f.HeaderImage, "video": f.HeaderVideo, "document": f.HeaderDocument} {
		if m != nil {
			all[kind] = m
		}
	}
	return all
}

func (f Frame) problems(p *fault.Problems, kind string) {
	if kind == "catalog_message" || kind == "product" {
		limited(p, "Content.Frame.Body", f.Body, 1024)
	} else {
		required(p, "Content.Frame.Body", f.Body, 1024)
	}
	limited(p, "Content.Frame.Header", f.Header, 60)
	limited(p, "Content.Frame.Footer", f.Footer, 60)
	headers := len(f.media())
	if f.Header != "" {
		headers++
	}
	p.Check(headers <= 1, "Content.Frame", "has more than one header")
	for kind, m := range f.media() {
		m.problems(p, "Content.Frame.Header", kind)
		p.Check(m.Caption == "", "Content.Frame.Header.Caption", "is not shown in a header")
	}
}

// unique finds what comes twice.
type unique map[string]bool

func (u unique) check(p *fault.Problems, field, value string) {
	p.Check(!u[value], field, "is there twice")
	u[value] = true
}

// LogValue tells nothing: it may hold words for a person.
func (Frame) LogValue() slog.Value { return slog.StringValue("Frame") }

// Format tells the same for every verb.
func (f Frame) Format(s fmt.State, _ rune) { redact.Format(s, f) }

// LogValue tells nothing: it may hold words for a person.
func (FlowCall) LogValue() slog.Value { return slog.StringValue("FlowCall") }

// Format tells the same for every verb.
func (v FlowCall) Format(f fmt.State, _ rune) { redact.Format(f, v) }
