// Package notify tells patients and doctors what happens to their appointment.
//
// It says what a notification is: a [Message] with a key, a recipient and either
// a template's name with its data or the words themselves. A leaf delivers it:
// notify/smtp by e-mail, notify/whatsapp by the WhatsApp Cloud API. A [Renderer],
// such as notify/template, makes the words in the recipient's language and zone.
//
//	mail, err := smtp.New(smtp.Config{Addr: "smtp.example.org:587", …})
//	chat, err := whatsapp.New(whatsapp.Config{Attempts: 1, …}) // Retry repeats
//	often := notify.RetryPolicy{}
//	tell := notify.Fallback(notify.Retry(chat, often), notify.Retry(mail, often))
//
//	receipt, err := tell.Notify(ctx, notify.Message{
//		Key:      "appt-42/confirmed",
//		To:       notify.Recipient{Name: "Asha Rao", Phone: "+919876543210", Locale: "hi-IN"},
//		Template: "appointment_confirmed",
//		Data:     template.Appointment{…},
//	})
//
// A receipt means accepted by the provider, which is not yet delivered.
//
// # Errors
//
// Every [Notifier] answers with the same few errors, and each says what to do: mend the
// message (telemed.ErrInvalid), alert a person (telemed.ErrUnauthorized,
// telemed.ErrForbidden), wait (telemed.ErrRateLimited, telemed.ErrUnavailable), take
// another channel ([ErrRecipient]). telemed.ErrAmbiguous is its own answer: the message
// may have gone out. [Fallback] and [Retry] act on these errors for you and never repeat
// what is ambiguous.
//
// A Key does not make sending idempotent: the same Key sent twice is sent twice,
// since neither SMTP nor the WhatsApp API has idempotency keys. Two e-mails then
// have the same Message-ID, by which some mailboxes show one of them, and many
// both; two WhatsApp messages have the same reference and both arrive. So keep in
// your own database which Keys were accepted, and send those no more. After
// telemed.ErrAmbiguous choose: send again if twice is better than never, as for a
// reminder; leave it if not, as for a one-time password; or, on WhatsApp, wait
// for a status with the Key's reference, which proves that it went out, though
// its absence proves nothing.
//
// # Security
//
// Errors and log values hold no address, phone number, name or word of a
// message, and a [Message] and its parts print without them; as JSON they are
// whole, for a queue. Addresses, names, subjects and file names are checked for control
// characters before they come near a protocol: see [Message.Validate].
//
// # Testing
//
// notify/notifytest has a Notifier that records, and the conformance suite that
// every Notifier of this module passes. smtptest and whatsapptest speak the
// providers' protocols on loopback.
package notify
