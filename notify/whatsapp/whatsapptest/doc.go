// Package whatsapptest is the WhatsApp Cloud API on loopback, for tests and
// demonstrations.
//
//	srv := whatsapptest.NewServer(t)
//	chat, err := whatsapp.New(whatsapp.Config{
//		BaseURL:       srv.URL(),
//		PhoneNumberID: srv.PhoneNumberID(),
//		Token:         srv.Token(),
//		…
//	})
//	…
//	msg, err := srv.WaitFor(ctx, func(m whatsapptest.Message) bool {
//		return m.To == "+919876543210"
//	})
//	fmt.Println(msg.Text) // as the patient reads it
//
// It takes template messages, any other message to who has written within 24 hours, read
// receipts, media, templates and the profile. It checks what Meta checks:
//
//   - the token, the number's id, and the recipient's number or user id;
//   - the template's name, language and status, its header, buttons and parameters;
//   - the lengths and numbers in interactive messages.
//
// Approved are the templates that notify/template calls, what [Config] adds, and those made
// by the API once [Server.SetTemplateStatus] says so. People who are known by a user id, or
// whose number Meta spells in another way, are in Config.People. It does what no true
// provider does on request: see [Fault].
//
// With a webhook address it sends signed statuses and messages there. What is not taken
// comes again for seven days. [Server.HoldWebhooks] keeps back what Config.Statuses would
// send, and [Server.Deliver] sends it late, twice or in another order. A message that fails
// in the end is [Server.SendStatus], a person with another number
// [Server.SendNumberChange].
//
// With Config.InMemory a whole story fits into a testing/synctest bubble: hours pass at
// once.
//
// # Errors
//
// Refusals have Meta's codes in Meta's envelope. Their prose quotes the
// recipient's number on purpose, so that a client that logs it is found out.
//
// # Security
//
// It listens on 127.0.0.1, or where Config.Addr says. What it keeps is gone with Close.
package whatsapptest
