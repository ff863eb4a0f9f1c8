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
// Content must therefore have a notify.WhatsAppTemplate. Whether it was delivered
// comes by webhook, with the [Reference] of the message's Key:
//
//	webhook, err := whatsapp.NewWebhook(whatsapp.WebhookConfig{
//		Secrets:     []telemed.Secret{appSecret},
//		VerifyToken: verifyToken,
//		Handle: func(ctx context.Context, e whatsapp.Event) error {
//			if e.Status == nil {
//				return nil
//			}
//			return appointments.Told(ctx, e.Status.Reference, e.Status.State)
//		},
//	})
//	…
//	mux.Handle("/webhooks/whatsapp", webhook)
//
// Messages within a conversation, media, and the management of templates are not here.
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
