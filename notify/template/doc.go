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
// Built in, in English ("en"), Hindi ("hi"), Tamil ("ta"), Telugu ("te"), Bengali ("bn") and
// Marathi ("mr"). The folder words says who has reviewed each. A language that nobody has
// reviewed, so far each but English, is sent with [Config.AllowUnreviewed] only:
//
//	for patients                                         data
//	Confirmed, Rescheduled, Cancelled                    Appointment, with a calendar file
//	Reminder, VisitWaiting, JoinNow, DoctorLate, NoShow  Appointment
//	PaymentAsked, PaymentFailed                          PaymentDue
//	PaymentReceived                                      Payment
//	RefundPending, Refunded                              Refund
//	OneTimePassword                                      Code
//	DocumentReady                                        Document
//
//	for doctors                                          data
//	DoctorBooked, DoctorMoved, DoctorCancelled           Appointment, with a calendar file
//	TodaysList                                           DayList
//	Reconnect                                            Reconnection
//
// [Set.Preview] shows all of them on one page.
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
// A first line that ends in " code" is of a template of the category AUTHENTICATION: its one
// parameter is a one-time password, which the button copies.
//
// [Definitions] has the bodies that an application registers at Meta for the built-in calls.
// They are made of the words of the e-mails.
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
