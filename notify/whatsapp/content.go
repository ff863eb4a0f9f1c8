package whatsapp

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// Content is what a message says. The functions that return one make it: [Text], [Image],
// [Document], [Buttons], [List], [Link], [Flow], [Template] and others. The zero Content is
// refused. It is not changed by sending, prints without its words, and is safe for
// concurrent use.
type Content struct {
	kind     string
	body     any
	check    func(p *fault.Problems)
	template *Call
}

// LogValue tells the type alone.
func (c Content) LogValue() slog.Value { return slog.GroupValue(slog.String("type", c.kind)) }

// Format tells the same for every verb.
func (c Content) Format(f fmt.State, _ rune) { redact.Format(f, c) }

// Text is a text of up to 4096 characters. The first address in it is shown with a preview
// of its page if preview is true.
func Text(body string, preview bool) Content {
	return Content{
		kind: "text", body: object{"body": body, "preview_url": preview},
		check: func(p *fault.Problems) { required(p, "Content.Text", body, 4096) },
	}
}

// Media is a file: one that [Client.Upload] has given to Meta, or one that Meta fetches.
// One of ID and Link is required.
type Media struct {
	// ID is Upload's result. Meta keeps it for 30 days.
	ID string
	// Link is an https address that anybody who has it may fetch. Anything about a patient is
	// better uploaded.
	Link string
	// Caption is shown below it, up to 1024 characters. Audio and stickers have none.
	Caption string
	// Filename is the name of a document that the person sees, "receipt.pdf".
	Filename string
}

// LogValue tells where the file is, without its name and words.
func (m Media) LogValue() slog.Value {
	return slog.GroupValue(slog.Bool("uploaded", m.ID != ""), slog.Bool("caption", m.Caption != ""))
}

// Format tells the same for every verb.
func (m Media) Format(f fmt.State, _ rune) { redact.Format(f, m) }

// Image is a JPEG or PNG of up to 5 MB.
func Image(m Media) Content { return media("image", m) }

// Video is an MP4 or 3GPP of up to 16 MB.
func Video(m Media) Content { return media("video", m) }

// Audio is a recording of up to 16 MB.
func Audio(m Media) Content { return media("audio", m) }

// Document is a PDF or another document of up to 100 MB.
func Document(m Media) Content { return media("document", m) }

// Sticker is a WebP of up to 500 KB.
func Sticker(m Media) Content { return media("sticker", m) }

func media(kind string, m Media) Content {
	return Content{kind: kind, body: m.object(), check: func(p *fault.Problems) { m.problems(p, "Content", kind) }}
}

func (m Media) object() object {
	return compact(object{"id": m.ID, "link": m.Link, "caption": m.Caption, "filename": m.Filename})
}

func (m Media) problems(p *fault.Problems, field, kind string) {
	p.Check((m.ID == "") != (m.Link == ""), field, "needs either an ID or a Link")
	p.Check(m.ID == "" || idText.MatchString(m.ID), field+".ID", "is no id of media")
	p.Check(m.Link == "" || httpsLink(m.Link), field+".Link", "is not an https address")
	p.Check(m.Caption == "" || kind == "image" || kind == "video" || kind == "document", field+".Caption", "is not shown with this type")
	p.Check(m.Filename == "" || kind == "document", field+".Filename", "is for documents alone")
	limited(p, field+".Caption", m.Caption, 1024)
	limited(p, field+".Filename", m.Filename, 240)
}

// Place is a point on the map.
type Place struct {
	// Latitude and Longitude are in degrees.
	Latitude, Longitude float64
	// Name and Address are shown with it.
	Name, Address string
}

// Location shows a place, such as the clinic.
func Location(at Place) Content {
	return Content{
		kind: "location",
		body: compact(object{"latitude": at.Latitude, "longitude": at.Longitude, "name": at.Name, "address": at.Address}),
		check: func(p *fault.Problems) {
			p.Check(math.Abs(at.Latitude) <= 90, "Content.Latitude", "is not a latitude")
			p.Check(math.Abs(at.Longitude) <= 180, "Content.Longitude", "is not a longitude")
			limited(p, "Content.Name", at.Name, 1000)
			limited(p, "Content.Address", at.Address, 1000)
		},
	}
}

// Contact is a card for the person's address book. JSON has Meta's names.
type Contact struct {
	Name      ContactName      `json:"name"`
	Birthday  string           `json:"birthday,omitempty"` // "2006-01-02"
	Org       *ContactOrg      `json:"org,omitempty"`
	Phones    []ContactPhone   `json:"phones,omitempty"`
	Emails    []ContactEmail   `json:"emails,omitempty"`
	URLs      []ContactURL     `json:"urls,omitempty"`
	Addresses []ContactAddress `json:"addresses,omitempty"`
}

// ContactName is a name. Formatted, and one of the others, is required.
type ContactName struct {
	Formatted string `json:"formatted_name"`
	First     string `json:"first_name,omitempty"`
	Middle    string `json:"middle_name,omitempty"`
	Last      string `json:"last_name,omitempty"`
	Prefix    string `json:"prefix,omitempty"`
	Suffix    string `json:"suffix,omitempty"`
}

// ContactOrg is where somebody works.
type ContactOrg struct {
	Company    string `json:"company,omitempty"`
	Department string `json:"department,omitempty"`
	Title      string `json:"title,omitempty"`
}

// ContactPhone is a number. Type is "HOME", "WORK" and the like; WaID makes it a number that
// can be written to on WhatsApp.
type ContactPhone struct {
	Phone string `json:"phone"`
	Type  string `json:"type,omitempty"`
	WaID  string `json:"wa_id,omitempty"`
}

// ContactEmail is an address for mail.
type ContactEmail struct {
	Email string `json:"email"`
	Type  string `json:"type,omitempty"`
}

// ContactURL is a page.
type ContactURL struct {
	URL  string `json:"url"`
	Type string `json:"type,omitempty"`
}

// ContactAddress is where somebody lives or works.
type ContactAddress struct {
	Street      string `json:"street,omitempty"`
	City        string `json:"city,omitempty"`
	State       string `json:"state,omitempty"`
	Zip         string `json:"zip,omitempty"`
	Country     string `json:"country,omitempty"`
	CountryCode string `json:"country_code,omitempty"`
	Type        string `json:"type,omitempty"`
}

// LogValue leaves out the person.
func (c Contact) LogValue() slog.Value { return slog.GroupValue(slog.Int("phones", len(c.Phones))) }

// Format tells the same for every verb.
func (c Contact) Format(f fmt.State, _ rune) { redact.Format(f, c) }

// Contacts shows cards, such as the clinic's.
func Contacts(cards ...Contact) Content {
	return Content{kind: "contacts", body: cards, check: func(p *fault.Problems) {
		p.Check(len(cards) > 0, "Content.Contacts", "is required")
		for i, c := range cards {
			field := "Content.Contacts[" + strconv.Itoa(i) + "].Name"
			p.Required(field+".Formatted", c.Name.Formatted)
			p.Check(c.Name.First+c.Name.Middle+c.Name.Last+c.Name.Prefix+c.Name.Suffix != "", field, "needs one part beside Formatted")
		}
	}}
}

// Reaction puts an emoji on a message, or takes it away if emoji is empty.
func Reaction(messageID, emoji string) Content {
	return Content{
		kind: "reaction", body: object{"message_id": messageID, "emoji": emoji},
		check: func(p *fault.Problems) {
			p.Check(idText.MatchString(messageID), "Content.MessageID", "is no id of a message")
			limited(p, "Content.Emoji", emoji, 16)
		},
	}
}

// required checks words that must be there.
func required(p *fault.Problems, field, words string, most int) {
	if strings.TrimSpace(words) == "" {
		p.Add(field, "is required")
		return
	}
	limited(p, field, words, most)
}

func limited(p *fault.Problems, field, words string, most int) {
	p.Check(utf8.ValidString(words), field, "is not UTF-8")
	p.Check(utf8.RuneCountInString(words) <= most, field, "is longer than %d characters", most)
}
