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
		{"appointment_reminder", "en", "Hello {{1}}, your video consultation with {{2}} starts {{3}}.\n\nTime: {{4}}\nClinic: {{5}}\nJoin: {{6}}\n\nThe link is for you alone. Please do not share it."},
		{"appointment_reminder", "hi", "नमस्ते {{1}}, {{2}} के साथ आपका वीडियो परामर्श {{3}} है।\n\nसमय: {{4}}\nक्लिनिक: {{5}}\nजुड़ें: {{6}}\n\nयह लिंक केवल आपके लिए है। कृपया इसे किसी और को न भेजें।"},
		{"appointment_waiting", "en", "Hello {{1}}, your video consultation with {{2}} is still planned for {{3}}.\n\nThe link is not ready yet. You will receive it as soon as it is. If you have none when the consultation should begin, please contact {{4}}.\n\nThank you for your patience."},
		{"appointment_waiting", "hi", "नमस्ते {{1}}, {{2}} के साथ आपका वीडियो परामर्श {{3}} पर ही है।\n\nलिंक अभी तैयार नहीं है। तैयार होते ही आपको भेज दिया जाएगा। अगर शुरू होने तक न मिले, तो कृपया {{4}} से संपर्क करें।"},
		{"payment_refund_pending", "en", "Hello {{1}}, your refund of {{2}} from {{3}} is on its way.\n\nBegun on: {{4}}\n\nBanks may need a few working days until it shows on your account."},
		{"payment_refund_pending", "hi", "नमस्ते {{1}}, {{3}} की ओर से आपका {{2}} का रिफ़ंड भेजा जा रहा है।\n\nशुरू होने का समय: {{4}}\n\nबैंक खाते में दिखने में कुछ कार्यदिवस लग सकते हैं।"},
		{"payment_refunded", "en", "Hello {{1}}, your refund of {{2}} from {{3}} is complete.\n\nRefunded on: {{4}}\n\nYour bank may need a few working days until it shows on your account."},
		{"payment_refunded", "hi", "नमस्ते {{1}}, {{3}} की ओर से आपका {{2}} का रिफ़ंड हो गया है।\n\nसमय: {{4}}\n\nआपके बैंक खाते में दिखने में कुछ कार्यदिवस लग सकते हैं।"},
		{"appointment_join", "en", "Hello {{1}}, {{2}} is ready for your video consultation.\n\nClinic: {{3}}\nJoin: {{4}}\n\nThe link is for you alone. Please do not share it."},
		{"appointment_join", "hi", "नमस्ते {{1}}, {{2}} आपके वीडियो परामर्श के लिए तैयार हैं।\n\nक्लिनिक: {{3}}\nजुड़ें: {{4}}\n\nयह लिंक केवल आपके लिए है। कृपया इसे किसी और को न भेजें।"},
		{"appointment_missed", "en", "Hello {{1}}, you did not join your video consultation with {{2}}.\n\nTime: {{3}}\n\nIf you still need it, please contact {{4}}. Thank you."},
		{"appointment_missed", "hi", "नमस्ते {{1}}, आप {{2}} के साथ अपने वीडियो परामर्श में नहीं जुड़े।\n\nसमय: {{3}}\n\nअगर आपको अब भी परामर्श चाहिए, तो कृपया {{4}} से संपर्क करें।"},
		{"doctor_late", "en", "Hello {{1}}, {{2}} will start your video consultation later than planned.\n\nPlanned time: {{3}}\nClinic: {{4}}\n\nYour appointment stays booked."},
		{"doctor_late", "hi", "नमस्ते {{1}}, {{2}} आपका वीडियो परामर्श तय समय से देर से शुरू करेंगे।\n\nतय समय: {{3}}\nक्लिनिक: {{4}}\n\nआपका अपॉइंटमेंट बना हुआ है।"},
		{"payment_due", "en", "Hello {{1}}, please pay {{2}} to {{3}} for your consultation.\n\nPay here: {{4}}\n\nThank you."},
		{"payment_due", "hi", "नमस्ते {{1}}, कृपया अपने परामर्श के लिए {{3}} को {{2}} का भुगतान करें।\n\nयहाँ भुगतान करें: {{4}}\n\nधन्यवाद।"},
		{"payment_failed", "en", "Hello {{1}}, your payment of {{2}} to {{3}} did not go through.\n\nTry again here: {{4}}\n\nIf money has left your account, please do not pay again."},
		{"payment_failed", "hi", "नमस्ते {{1}}, {{3}} को आपका {{2}} का भुगतान पूरा नहीं हुआ।\n\nयहाँ फिर कोशिश करें: {{4}}\n\nअगर आपके खाते से पैसे कट गए हैं, तो कृपया दोबारा भुगतान न करें।"},
		{"one_time_password", "en", "{{1}} is your verification code. For your security, do not share this code."},
		{"one_time_password", "hi", "{{1}} आपका सत्यापन कोड है। अपनी सुरक्षा के लिए, यह कोड किसी को न बताएँ।"},
		{"document_ready", "en", "Hello {{1}}, a document from your consultation with {{2}} is ready.\n\nClinic: {{3}}\nOpen it here: {{4}}\n\nThank you."},
		{"document_ready", "hi", "नमस्ते {{1}}, {{2}} के साथ आपके परामर्श का एक दस्तावेज़ तैयार है।\n\nक्लिनिक: {{3}}\nयहाँ खोलें: {{4}}\n\nधन्यवाद।"},
		{"doctor_today", "en", "Hello {{1}}, your video consultations on {{2}}: {{3}}.\n\nClinic: {{4}}\n\nThe times are in your list."},
		{"doctor_today", "hi", "नमस्ते {{1}}, {{2}} को आपके वीडियो परामर्श: {{3}}।\n\nक्लिनिक: {{4}}\n\nसमय आपकी सूची में हैं।"},
		{"doctor_booked", "en", "Hello {{1}}, a video consultation with {{2}} is booked.\n\nTime: {{3}}\nClinic: {{4}}\n\nIt is in your list now."},
		{"doctor_booked", "hi", "नमस्ते {{1}}, {{2}} के साथ एक वीडियो परामर्श तय हुआ है।\n\nसमय: {{3}}\nक्लिनिक: {{4}}\n\nयह अब आपकी सूची में है।"},
		{"doctor_moved", "en", "Hello {{1}}, your video consultation with {{2}} has a new time.\n\nNew time: {{3}}\nClinic: {{4}}\n\nYour list shows the new time."},
		{"doctor_moved", "hi", "नमस्ते {{1}}, {{2}} के साथ आपके वीडियो परामर्श का समय बदल गया है।\n\nनया समय: {{3}}\nक्लिनिक: {{4}}\n\nआपकी सूची में नया समय है।"},
		{"doctor_cancelled", "en", "Hello {{1}}, your video consultation with {{2}} on {{3}} is cancelled.\n\nClinic: {{4}}\n\nIt is not in your list any more."},
		{"doctor_cancelled", "hi", "नमस्ते {{1}}, {{2}} के साथ {{3}} का आपका वीडियो परामर्श रद्द हो गया है।\n\nक्लिनिक: {{4}}\n\nयह अब आपकी सूची में नहीं है।"},
		{"doctor_reconnect", "en", "Hello {{1}}, your {{2}} account needs to be connected again.\n\nUntil then {{3}} can make no video meetings in it, and your patients get no link.\n\nConnect it here: {{4}}\n\nThis takes about a minute."},
		{"doctor_reconnect", "hi", "नमस्ते {{1}}, कृपया अपना {{2}} खाता फिर से जोड़ें।\n\nतब तक {{3}} उसमें वीडियो मीटिंग नहीं बना सकता, और आपके मरीज़ों को लिंक नहीं मिलेगा।\n\nयहाँ जोड़ें: {{4}}\n\nइसमें लगभग एक मिनट लगता है।"},
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
