// Package template makes the words of notifications: named, translated templates
// that become an e-mail (subject, HTML, text, calendar file) and a WhatsApp
// template call, in the recipient's language and time zone.
//
//	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: kolkata})
//	mail, err := smtp.New(smtp.Config{Renderer: words, …})
//
//	mail.Notify(ctx, notify.Message{
//		Key:      "appt-42/confirmed",
//		To:       notify.Recipient{Name: "Asha Rao", Email: "asha@example.org", Locale: "hi-IN"},
//		Template: template.Confirmed,
//		Data:     template.Appointment{Key: "appt-42", Patient: "Asha Rao", Start: start, …},
//	})
//
// # Templates
//
// Built in, in English ("en"), Hindi ("hi"), Tamil ("ta"), Telugu ("te"), Bengali ("bn")
// and Marathi ("mr"). Nobody has reviewed those but English, so they are sent only with
// Config.AllowUnreviewed:
//
//	for patients                                         data
//	Confirmed, Rescheduled, Cancelled                    Appointment, with a calendar file
//	Reminder, VisitWaiting                               Appointment
//	PaymentReceived                                      Payment
//	RefundPending, Refunded                              Refund
//
//	for doctors                                          data
//	DoctorBooked, DoctorMoved, DoctorCancelled           Appointment, with a calendar file
//	Reconnect                                            Reconnection
//
// A locale falls back to the next shorter tag and then to the default: hi-IN, hi, en.
//
// Times are in the recipient's zone if it is known, else in the clinic's. A recipient with
// another clock than the clinic's reads the start of an appointment by both. The zone of a
// time.Time counts for nothing.
//
// An application adds templates, translations and its own wording by [Config.FS], a tree
// like that of the built-in ones, one folder for each locale:
//
//	en/lab_ready.subject    text/template, one line
//	en/lab_ready.txt        text/template
//	en/lab_ready.html       html/template: defines "preheader" and "content"
//	en/lab_ready.whatsapp   "name language" at Meta, then a line for each body parameter
//	en/lab_ready.summary    the title of a calendar entry; its Data must be an Appointment
//	en/layout.html          html/template: defines "footer"
//	layout.html             html/template: defines "page", "row" and "button"
//
// The dot is a [*Page]: {{.Data}} is what the application passed, {{.When .Data.Start}}
// a time in words. Every locale of a name has the same kinds of files. Data that
// has the method Validate() error is asked before it is shown.
//
// The built-in WhatsApp calls expect these bodies, which an application registers at
// Meta under the same names, in the category "utility" ("authentication" for a
// password), in the languages that it sends. whatsapptest.Builtin has a wording for each:
//
//	appointment_confirmed    {{1}} greeting, {{2}} doctor, {{3}} time, {{4}} clinic, {{5}} link
//	appointment_rescheduled  {{1}} greeting, {{2}} doctor, {{3}} time, {{4}} clinic, {{5}} link
//	appointment_cancelled    {{1}} greeting, {{2}} doctor, {{3}} time, {{4}} clinic
//	appointment_reminder     {{1}} greeting, {{2}} doctor, {{3}} until, {{4}} time, {{5}} clinic,
//	                         {{6}} link
//	appointment_waiting      {{1}} greeting, {{2}} doctor, {{3}} time, {{4}} clinic
//	payment_receipt          {{1}} greeting, {{2}} amount, {{3}} clinic, {{4}} payment id, {{5}} time
//	payment_refund_pending   {{1}} greeting, {{2}} amount, {{3}} clinic, {{4}} time
//	payment_refunded         {{1}} greeting, {{2}} amount, {{3}} clinic, {{4}} time
//	appointment_join         {{1}} greeting, {{2}} doctor, {{3}} clinic, {{4}} link
//	appointment_missed       {{1}} greeting, {{2}} doctor, {{3}} time, {{4}} clinic
//	doctor_late              {{1}} greeting, {{2}} doctor, {{3}} time, {{4}} clinic
//	payment_due              {{1}} greeting, {{2}} amount, {{3}} clinic, {{4}} page
//	payment_failed           {{1}} greeting, {{2}} amount, {{3}} clinic, {{4}} page
//	document_ready           {{1}} greeting, {{2}} doctor, {{3}} clinic, {{4}} page
//	one_time_password        {{1}} code
//	doctor_today             {{1}} greeting, {{2}} day, {{3}} number of visits, {{4}} clinic
//	doctor_booked            {{1}} greeting, {{2}} patient, {{3}} time, {{4}} clinic
//	doctor_moved             {{1}} greeting, {{2}} patient, {{3}} time, {{4}} clinic
//	doctor_cancelled         {{1}} greeting, {{2}} patient, {{3}} time, {{4}} clinic
//	doctor_reconnect         {{1}} greeting, {{2}} provider, {{3}} clinic, {{4}} address of the page
//
// # Errors
//
// New renders every template with sample data, so that a broken one stops the
// program at its start. Render gives telemed.ErrInvalid with a
// *telemed.FieldError for each wrong field: "Template" for an unknown name,
// "Data" for a wrong type, "Data.JoinURL" for a link that is not https.
//
// # Security
//
// What patients type is escaped in HTML and in the calendar file, and a name
// with a line break is refused. Links are https, or http on loopback. Subjects,
// WhatsApp texts and calendar titles hold no reason for the visit. A doctor reads the
// patient's name in the body and in the calendar, and nothing else of the patient. A name is
// still shown as it is: mail and chat programs make a link of a name that looks
// like one, so check names where patients enter them.
//
// # Testing
//
// A Set needs no network. whatsapptest knows the built-in templates and shows
// what a patient would read; smtptest keeps the mail.
package template
