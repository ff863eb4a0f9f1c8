package whatsapptest

import (
	"regexp"
	"strconv"
	"strings"
)

// Template is an approved template.
type Template struct {
	// Name and Language are what a message calls it by.
	Name, Language string
	// Body is its text, with parameters {{1}}, {{2}} and so on.
	Body string
}

// Builtin returns the templates that package notify/template calls, in English and Hindi.
func Builtin() []Template {
	return []Template{
		{"appointment_confirmed", "en", "Hello {{1}}, your video consultation with {{2}} is confirmed.\n\nTime: {{3}}\nClinic: {{4}}\nJoin: {{5}}\n\nThe link is for you alone. Please do not share it."},
		{"appointment_confirmed", "hi", "नमस्ते {{1}}, {{2}} के साथ आपका वीडियो परामर्श तय हो गया है।\n\nसमय: {{3}}\nक्लिनिक: {{4}}\nजुड़ें: {{5}}\n\nयह लिंक केवल आपके लिए है। कृपया इसे किसी और को न भेजें।"},
		{"appointment_rescheduled", "en", "Hello {{1}}, your video consultation with {{2}} has a new time.\n\nNew time: {{3}}\nClinic: {{4}}\nJoin: {{5}}\n\nThe link is for you alone. Please do not share it."},
		{"appointment_rescheduled", "hi", "नमस्ते {{1}}, {{2}} के साथ आपके वीडियो परामर्श का समय बदल गया है।\n\nनया समय: {{3}}\nक्लिनिक: {{4}}\nजुड़ें: {{5}}\n\nयह लिंक केवल आपके लिए है। कृपया इसे किसी और को न भेजें।"},
		{"appointment_cancelled", "en", "Hello {{1}}, your video consultation with {{2}} on {{3}} is cancelled.\n\nPlease ask {{4}} for another time."},
		{"appointment_cancelled", "hi", "नमस्ते {{1}}, {{2}} के साथ {{3}} का आपका वीडियो परामर्श रद्द हो गया है।\n\nदूसरे समय के लिए {{4}} से संपर्क करें।"},
		{"payment_receipt", "en", "Hello {{1}}, we have received your payment of {{2}} to {{3}}.\n\nPayment ID: {{4}}\nPaid on: {{5}}\n\nThank you."},
		{"payment_receipt", "hi", "नमस्ते {{1}}, {{3}} को आपका {{2}} का भुगतान मिल गया है।\n\nभुगतान संख्या: {{4}}\nसमय: {{5}}\n\nधन्यवाद।"},
	}
}

var placeholder = regexp.MustCompile(`\{\{([0-9]{1,2})\}\}`)

// parameters returns how many parameters the body has.
func (t Template) parameters() int {
	most := 0
	for _, found := range placeholder.FindAllStringSubmatch(t.Body, -1) {
		n, _ := strconv.Atoi(found[1])
		most = max(most, n)
	}
	return most
}

// text returns the body as the recipient reads it.
func (t Template) text(values []string) string {
	return placeholder.ReplaceAllStringFunc(t.Body, func(mark string) string {
		n, _ := strconv.Atoi(strings.Trim(mark, "{}"))
		if n < 1 || n > len(values) {
			return mark
		}
		return values[n-1]
	})
}
