// Package whatsapp sends notifications by template messages of the WhatsApp Cloud
// API and receives its webhooks.
//
//	chat, err := whatsapp.New(whatsapp.Config{
//		PhoneNumberID: "106540352242922",
//		Token:         telemed.NewSecret(token),
//		Renderer:      words, // notify/template
//	})
//	receipt, err := chat.Notify(ctx, notify.Message{
//		Key:      "appt-42/confirmed",
//		To:       notify.Recipient{Name: "Asha Rao", Phone: "+919876543210", Locale: "hi-IN"},
//		Template: template.Confirmed,
//		Data:     template.Appointment{…},
//	})
//
// A business may begin a conversation with approved templates only; a message's
// Content must therefore have a notify.WhatsAppTemplate. Whether it was delivered, and
// that a person wants no more messages, comes by webhook, with the [notify.Reference] of
// the message's Key; Config.WebhookSecrets and VerifyToken are needed for it:
//
//	mux.Handle("/webhooks/whatsapp", chat.Reports(func(ctx context.Context, r notify.Report) error {
//		return appointments.Told(ctx, r.Reference, r.State)
//	}))
//
// A person may be known by a number, by another spelling of it, and by Meta's user id, with
// the number hidden. Notify takes either, and Receipt.KnownAs and the reports tell the
// others: outbox.Outbox keeps which are one person's, so that a stop holds at all of them.
// Inbound.NewPhone, and notify.ReportMoved, tell that a number may be a stranger's now.
//
// [NewWebhook] takes everything else too: what patients write, and what becomes of
// templates and of the account.
//
// # Conversations
//
// Within 24 hours of a person's message, [Client.Send] says anything: a text, a file, a
// question with buttons or a list.
//
//	chat.Send(ctx, whatsapp.Outbound{
//		To: m.Phone, ReplyTo: m.MessageID,
//		Content: whatsapp.Buttons(whatsapp.Frame{Body: "Shall we move it?"},
//			whatsapp.Button{ID: "yes", Title: "Yes"}, whatsapp.Button{ID: "no", Title: "No"}),
//	})
//
// # Templates
//
// A notify.WhatsAppTemplate fills the body by numbers or names, a header with a text or a
// file (see [Client.Upload]), and the ends of addresses on buttons.
//
// With Config.BusinessAccountID, the first call of a template in a process is compared with
// Meta's definition: its status, parameters, header and buttons. If Meta does not say within
// 5 seconds, a warning is logged and the message goes out unchecked.
//
// # Errors
//
// Every error is an *[Error] or a field error, and matches one sentinel of package
// notify by Meta's code for it: see [KindOf]. Meta has no idempotency keys. A
// message whose answer was lost is telemed.ErrAmbiguous and never repeated here;
// wait for a status with its Reference before you send it again.
//
// # Security
//
// Webhooks are checked against the app secrets on the raw bytes before anything
// is parsed. Errors and log lines hold codes and request ids, never Meta's prose,
// which may quote a phone number. Meta sees a hash of a message's Key, not the Key.
//
// # Testing
//
// whatsapptest is the API on loopback: it checks what Meta checks, keeps what it
// received, sends signed webhooks and fails when told to.
package whatsapp
