// Package smtp sends notifications as e-mail through any SMTP server.
//
//	mail, err := smtp.New(smtp.Config{
//		Addr:     "smtp.example.org:587",
//		Username: "care@clinic.example",
//		Password: telemed.NewSecret(password),
//		From:     "Clinic <care@clinic.example>",
//		Renderer: templates, // *template.Set, for instance
//	})
//	…
//	defer mail.Shutdown(ctx)
//	receipt, err := mail.Notify(ctx, notify.Message{
//		Key:      "appt-42/confirmed",
//		To:       notify.Recipient{Name: "Asha Rao", Email: "asha@example.org"},
//		Template: "appointment_confirmed",
//		Data:     data,
//	})
//
// A message has a text part, an HTML part if there is HTML, and its files. A
// file of the type "text/calendar; method=REQUEST" is also shown as an
// invitation. Connections are kept for further messages, a few at a time, and a
// message takes two round trips on a server with PIPELINING (RFC 2920). On one
// with CHUNKING (RFC 3030) and without PIPELINING, the first message of each
// connection takes one more, which proves that the server knows BDAT.
//
// Every answer belongs to its command. Before an idle connection is used again, it is looked
// into, for up to a millisecond: one on which the server has said something unasked, or has
// gone, is replaced. So is one whose answers contradict each other; the message then counts
// as not sent. No client can tell a line that comes unasked while an answer is under way
// from that answer, where both say the same.
//
// The Message-ID comes from the message's Key, the recipient and the sender's
// domain. What is sent again, after telemed.ErrAmbiguous for instance, is a second
// mail with the same Message-ID: some mailboxes then show one of the two, others both.
// Some relays replace the Message-ID: Brevo does.
//
// SMTP cannot be asked what became of a message whose answer was lost. A relay's event API
// can, by the reference that Config.ReferenceHeader gives it: the example "Evidence" asks
// Brevo's.
//
// # Errors
//
// Errors are those of package notify, as an [*Error] with the server's code:
//
//   - telemed.ErrInvalid: a field of the message, or it is too large;
//   - telemed.ErrUnauthorized: 530, 534, 535, or no AUTH where there are credentials;
//   - telemed.ErrForbidden: the server's policy (5.7.x): relaying denied, spam block;
//   - notify.ErrRecipient: the mailbox is refused for good;
//   - telemed.ErrRateLimited: greylisting, too many messages or connections;
//   - telemed.ErrUnavailable: every other temporary answer, and all that went wrong
//     before the last byte of the message was out, the end of ctx included;
//   - telemed.ErrAmbiguous: the message was out whole and the answer was lost.
//
// # Security
//
// TLS is required unless Config.Security is one of the Insecure ones, and
// credentials never travel without it. Everything that stands in a header is
// checked or encoded; nothing of a message can add a header, a recipient or a
// command. No byte of a message is sent to a server that has not agreed to take
// it first. A server's answers are read to a limit and never quoted in errors.
//
// # Testing
//
// notify/smtp/smtptest is an SMTP server on loopback that keeps what it receives
// and fails when told to.
package smtp
