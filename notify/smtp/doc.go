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
// invitation. Connections are kept for further messages, a few at a time.
//
// # Credentials
//
// With a Password, the first of these that the server offers is used:
//
//   - SCRAM-SHA-256 (RFC 5802, RFC 7677): the server learns no password, and has to prove
//     that it knows it;
//   - PLAIN (RFC 4616);
//   - LOGIN.
//
// With a Token, XOAUTH2 (https://developers.google.com/workspace/gmail/imap/xoauth2-protocol)
// or OAUTHBEARER (RFC 7628). CRAM-MD5 is not spoken.
//
// # Signatures
//
// Config.Sign signs the composed message; notify/smtp/dkim does it with DKIM (RFC 6376).
//
// # Round trips
//
// With PIPELINING (RFC 2920) and CHUNKING (RFC 3030) a message takes one round trip: the
// envelope and the message leave together. It takes two where
//
//   - it is the first on its connection: its first line goes ahead, and proves that the
//     server knows BDAT. A server that does not, gets DATA from then on;
//   - the connection was idle for five seconds: the envelope proves that it lives;
//   - the message is longer than 64 KiB, or has a file that is opened. It is encoded while it
//     is sent, and not held whole;
//   - a line of it begins like the command RCPT.
//
// A message with copies (notify.Mail) goes out when its recipient was taken, and the copies
// were asked about: two round trips, and three for the first of a connection or by DATA.
//
// With PIPELINING alone a message takes two, without it three or four.
//
// # Copies
//
// A copy that is refused, for now or for good, is in Receipt.Refused, and the others get the
// mail: an error would have them mailed again. If the recipient is refused, or the connection
// ends before the message is out, nobody gets it, and it may be repeated.
//
// # Answers
//
// Every answer belongs to its command. A connection is given up, and its message has no
// verdict of it, where
//
//   - the server has said something unasked, or has gone, while the connection was idle: it
//     is looked into before it is used, for up to a millisecond;
//   - more than was asked for has arrived by the time of the last answer, and says something
//     else: a yes and a no to one message together are telemed.ErrAmbiguous;
//   - an answer cannot be one to its command, or contradicts those before it.
//
// It is given up after a refusal too, unless that was of MAIL or RCPT in a round trip of
// their own. Then RSET ends the transaction, and further messages on it go by DATA, whose
// 354 no other command is answered by.
//
// A line that nobody asked for cannot be told from an answer if the true one comes later:
// any yes or no ahead of the last answer of a round trip, and with BDAT a yes ahead of any.
// It may be taken for the verdict on the message under way. The messages after it keep
// theirs: what comes later is found, or there is no such connection any more.
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
// Errors are those of package notify, as an [*Error] with the server's code. What a reply
// means depends on the command, the code, the enhanced code (RFC 3463) and, where servers
// contradict their own codes, the words. The first row that fits decides:
//
//	530, 534, 535, 538; 5yz to AUTH                         telemed.ErrUnauthorized
//	no STARTTLS or AUTH where it is required; a certificate
//	  that has expired, is not trusted or of another name   telemed.ErrUnauthorized
//	421; 454, except to AUTH and STARTTLS;
//	  4.7.x, 4.2.1, 4.3.2, 4.4.5, 4.5.3                     telemed.ErrRateLimited
//	any other 4yz; 5yz to EHLO, STARTTLS, NOOP              telemed.ErrUnavailable
//	5.3.4, 5.2.3                                            telemed.ErrInvalid: too large
//	5.4.5, 5.1.90; 5yz whose words are of a limit on the
//	  sender, in an hour or a day (not 5.2.2, 5.1.1)        telemed.ErrRateLimited, an hour
//	552 (not 5.2.2)                                         telemed.ErrInvalid: too large
//	5.1.7, 5.1.8: the sender's address                      telemed.ErrForbidden
//	5.1.x, 5.2.x, 556 to RCPT or to the message;
//	  550, 551, 553 (not 5.7.x) to RCPT                     notify.ErrRecipient;
//	  to a message with copies                              telemed.ErrForbidden
//	any other 5yz: relaying denied, spam block, HELO        telemed.ErrForbidden
//
// ErrUnauthorized and ErrForbidden want a person: no repetition mends a certificate. While
// the server says "too much", messages go over fewer connections. Some relays count the
// messages of a connection: a temporary refusal of MAIL, on one that has carried some, is no
// verdict, and the message goes over a new one.
//
// Without a reply:
//
//   - telemed.ErrInvalid: a field of the message, or it is larger than the server takes;
//   - an address whose local part is beyond ASCII, and a server without SMTPUTF8:
//     notify.ErrRecipient for Message.To, telemed.ErrInvalid for one in Message.Mail,
//     telemed.ErrForbidden for one in the Config;
//   - telemed.ErrUnavailable: all that went wrong before the last byte of the message was
//     out, the end of ctx included;
//   - telemed.ErrAmbiguous: the message was out whole and the answer was lost.
//
// # Security
//
// TLS is required unless Config.Security is one of the Insecure ones, and
// credentials never travel without it. Everything that stands in a header is
// checked or encoded; nothing of a message can add a header, a recipient or a
// command. No byte of a message is sent to a server that has not agreed to take it first,
// or has taken a chunk on the same connection. A server's answers are read to a limit and
// never quoted in errors.
//
// # Testing
//
// notify/smtp/smtptest is an SMTP server on loopback that keeps what it receives
// and fails when told to.
package smtp
