// Package notify tells patients and doctors what happens to their appointment.
//
// It says what a notification is: a [Message] with a key, a recipient and either
// a template's name with its data or the words themselves. A leaf delivers it:
// notify/smtp by e-mail, notify/whatsapp by the WhatsApp Cloud API. A [Renderer],
// such as notify/template, makes the words in the recipient's language and zone.
//
//	mail, err := smtp.New(smtp.Config{Addr: "smtp.example.org:587", From: "Clinic <care@clinic.example>", …})
//	chat, err := whatsapp.New(whatsapp.Config{…})
//	tell := notify.Fallback(notify.Retry(chat, notify.RetryPolicy{}), notify.Retry(mail, notify.RetryPolicy{}))
//
//	receipt, err := tell.Notify(ctx, notify.Message{
//		Key:      "appt-42/confirmed",
//		To:       notify.Recipient{Name: "Asha Rao", Email: "asha@example.org", Phone: "+919876543210", Locale: "hi-IN"},
//		Template: "appointment_confirmed",
//		Data:     template.Appointment{…},
//	})
//
// A receipt means accepted by the provider, which is not yet delivered.
//
// # Errors
//
// Every [Notifier] answers with the same few errors, and each says what to do:
// mend the message ([ErrInvalid]), alert a person ([ErrUnauthorized],
// [ErrForbidden]), wait ([ErrRateLimited], [ErrUnavailable]), take another
// channel ([ErrRecipient]). [ErrAmbiguous] is its own answer: the message may
// have gone out. Repeat it with the same Key if twice is better than never,
// which holds for a reminder and not for a one-time password. [Fallback] and
// [Retry] act on these errors for you and never repeat what is ambiguous.
//
// # Security
//
// Errors and log values hold no address, phone number, name or word of a
// message. Addresses, names, subjects and file names are checked for control
// characters before they come near a protocol: see [Message.Validate].
//
// # Testing
//
// notify/notifytest has a Notifier that records, and the conformance suite that
// every Notifier of this module passes. smtptest and whatsapptest speak the
// providers' protocols on loopback.
package notify
