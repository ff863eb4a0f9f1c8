package template

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// shape is what a built-in template is made of. Its e-mail's HTML and text come from the
// same blocks and the same words.
type shape struct {
	doctor   bool   // a doctor reads it
	nobody   bool   // its data name nobody who could be greeted
	rows     string // keys of rowValues
	button   string // a key of the words
	link     string // where the button leads
	later    bool   // without a link, one is announced
	private  bool   // the link is for one person
	manage   bool   // links to change the appointment
	list     bool   // the visits of a day
	code     bool   // a one-time password
	note     bool   // Data has a Note
	calendar string // the words' key of the entry's title
	chat     string // parameters behind the greeting, keys of chatValues
}

const visitRows = "patient doctor registration time duration clinic"

var shapes = map[string]shape{
	Confirmed: {
		rows: visitRows, button: "join", link: ".Data.JoinURL", later: true, private: true, manage: true, note: true,
		calendar: "summary", chat: "doctor time clinic link",
	},
	Rescheduled: {
		rows: "patient doctor registration newtime previous duration clinic", button: "join", link: ".Data.JoinURL",
		later: true, private: true, manage: true, note: true, calendar: "summary", chat: "doctor time clinic link",
	},
	Cancelled: {
		rows: "patient doctor registration oldtime clinic", note: true, calendar: "summary.cancelled", chat: "doctor time clinic",
	},
	Reminder: {
		rows: visitRows, button: "join", link: ".Data.JoinURL", later: true, private: true, manage: true, note: true,
		chat: "doctor until time clinic link",
	},
	VisitWaiting: {rows: visitRows, note: true, chat: "doctor time clinic"},
	JoinNow: {
		rows: visitRows, button: "join", link: ".Data.JoinURL", later: true, private: true, note: true, chat: "doctor clinic link",
	},
	DoctorLate: {
		rows: "patient doctor registration oldtime delay clinic", button: "join", link: ".Data.JoinURL", later: true, private: true,
		manage: true, note: true, chat: "doctor time clinic",
	},
	NoShow:       {rows: "patient doctor registration oldtime clinic", manage: true, note: true, chat: "doctor time clinic"},
	PaymentAsked: {rows: "patient item amount due clinic", button: "pay", link: ".Data.URL", chat: "amount clinic url"},
	PaymentFailed: {
		rows: "patient item amount due clinic", button: "paynew", link: ".Data.URL", chat: "amount clinic url",
	},
	PaymentReceived: {
		rows: "number patient paiddoctor registration item lines exemption amount paidon paymentid clinic gstin",
		chat: "amount clinic reference paidat",
	},
	RefundPending:   {rows: "patient item refund of begun refundid clinic", note: true, chat: "amount clinic at"},
	Refunded:        {rows: "patient item refund of refundedon refundid clinic", note: true, chat: "amount clinic at"},
	OneTimePassword: {nobody: true, code: true, chat: "code"},
	DocumentReady: {
		rows: "patient doctor registration document clinic", button: "view", link: ".Data.URL", private: true, chat: "doctor clinic url",
	},
	DoctorBooked: {
		doctor: true, rows: "patient time duration clinic", button: "open", link: ".Data.JoinURL", private: true, note: true,
		calendar: "summary.doctor", chat: "patient time clinic",
	},
	DoctorMoved: {
		doctor: true, rows: "patient newtime previous duration clinic", button: "open", link: ".Data.JoinURL", private: true,
		note: true, calendar: "summary.doctor", chat: "patient time clinic",
	},
	DoctorCancelled: {
		doctor: true, rows: "patient oldtime clinic", note: true, calendar: "summary.doctor.cancelled", chat: "patient time clinic",
	},
	TodaysList: {doctor: true, list: true, rows: "clinic", button: "list", link: ".Data.URL", chat: "day count clinic"},
	Reconnect:  {doctor: true, rows: "account next clinic", button: "reconnect", link: ".Data.URL", chat: "provider clinic url"},
}

// rowValue is a row of the details: shown if when holds, and one for each of many.
type rowValue struct{ when, value string }

var rowValues = map[string]rowValue{
	"patient": {"", ".Data.Patient"}, "doctor": {"", ".Data.Doctor"}, "clinic": {"", ".Clinic"},
	"paiddoctor":   {".Data.Doctor", ".Data.Doctor"},
	"registration": {".Data.Registration", `(printf "%s %s" .Data.Registration .Data.Council)`},
	"time":         {"", "(.When .Data.Start)"}, "newtime": {"", "(.When .Data.Start)"}, "oldtime": {"", "(.When .Data.Start)"},
	"previous": {"not .Data.Previous.IsZero", "(.When .Data.Previous)"},
	"item":     {".Data.Item", ".Data.Item"}, "amount": {"", "(.Money .Data.Amount .Data.Currency)"},
	"refund": {"", "(.Money .Data.Amount .Data.Currency)"}, "of": {"gt .Data.Of .Data.Amount", "(.Money .Data.Of .Data.Currency)"},
	"due": {"not .Data.Until.IsZero", "(.When .Data.Until)"}, "paidon": {"", "(.When .Data.PaidAt)"},
	"paymentid": {"", ".Data.Reference"}, "refundid": {".Data.Reference", ".Data.Reference"},
	"begun": {"", "(.When .Data.At)"}, "refundedon": {"", "(.When .Data.At)"},
	"number": {".Data.Number", ".Data.Number"}, "exemption": {".Data.Exemption", ".Data.Exemption"},
	"gstin": {".Brand.GSTIN", ".Brand.GSTIN"}, "account": {"", ".Data.Provider"},
	"next": {"not .Data.Next.IsZero", "(.When .Data.Next)"}, "document": {"", ".Data.Title"},
}

// build adds the files of all shapes in all languages.
func (s *sources) build() error {
	all, err := catalogues()
	if err != nil {
		return err
	}
	for _, locale := range slices.Sorted(maps.Keys(all)) {
		c := all[locale]
		s.folder[locale] = locale
		b := &builder{c: c}
		s.files[locale+"/layout.html"] = `{{define "footer"}}` + b.footer("<br>") + `{{end}}`
		for name, shape := range shapes {
			files := b.files(name, shape)
			for kind, source := range files {
				s.files[locale+"/"+name+"."+kind] = source
				s.unreviewed[locale+"/"+name+"."+kind] = !c.reviewed()
			}
		}
		if len(b.missing) > 0 {
			return fmt.Errorf("words/%s.txt lacks %s", locale, strings.Join(b.missing, ", "))
		}
	}
	return nil
}

// builder writes the sources of one language.
type builder struct {
	c       *catalogue
	missing []string
}

// say returns a text of the language.
func (b *builder) say(key string) string {
	text, ok := b.c.texts[key]
	if !ok && !slices.Contains(b.missing, key) {
		b.missing = append(b.missing, key)
	}
	return text
}

func (b *builder) label(key string) string {
	switch key {
	case "gstin":
		return "GSTIN"
	case "paiddoctor":
		key = "doctor"
	}
	return b.say(key)
}

func (b *builder) files(name string, s shape) map[string]string {
	files := map[string]string{
		kindSubject: b.say(name + ".subject"), kindText: b.text(name, s), kindHTML: b.html(name, s), kindWhatsApp: b.chat(name, s),
	}
	if s.calendar != "" {
		files[kindSummary] = b.say(s.calendar)
	}
	return files
}

func (b *builder) greeting(s shape) string {
	if s.nobody {
		return b.say("greeting.nobody")
	}
	return strings.ReplaceAll(b.say("greeting"), "%s", reader(s))
}

func reader(s shape) string {
	if s.doctor {
		return ".Data.Doctor"
	}
	return ".Data.Patient"
}

func (b *builder) footer(br string) string {
	return b.say("footer") +
		`{{with .Brand.Address}}` + br + `{{.}}{{end}}` +
		`{{if .Brand.Phone}}` + br + b.say("footer.phone") + `{{end}}` +
		`{{if .Brand.Registration}}` + br + b.say("footer.registration") + `{{end}}`
}

func (b *builder) minutes(field string) string {
	return `(printf ` + strconv.Quote(b.say("minutes")) + ` (.Minutes .Data.` + field + `))`
}

// rowsOf calls row for each row of s, with what it is shown for ("" is always).
func (b *builder) rowsOf(s shape, row func(key, when, value string)) {
	for key := range strings.FieldsSeq(s.rows) {
		switch key {
		case "duration":
			row(key, ".Data.Duration", b.minutes("Duration"))
		case "delay":
			row(key, ".Data.Delay", b.minutes("Delay"))
		default:
			row(key, rowValues[key].when, rowValues[key].value)
		}
	}
}

func timeRow(key string) bool { return key == "time" || key == "newtime" || key == "oldtime" }

func conditional(when, source string) string {
	if when == "" {
		return source
	}
	return "{{if " + when + "}}" + source + "{{end}}"
}

// after is the paragraph below the details, if the words have one.
func (b *builder) after(name string) string { return b.c.texts[name+".after"] }
