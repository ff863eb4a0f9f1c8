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
// It takes template messages, free text to who has written within 24 hours, and read
// receipts, and checks what Meta checks: the token, the number's id, the
// recipient's number, the template's name and language, and the number and form of its
// parameters. Approved are the templates that notify/template calls, and what [Config]
// adds. It does what no true provider does on request: see [Fault].
//
// With a webhook address it sends signed statuses and messages there. Those of
// Config.Statuses come again for seven days until they are taken. [Server.HoldWebhooks]
// keeps them back, and [Server.Deliver] sends them late, twice or in another order. A
// message that fails in the end is [Server.SendStatus].
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
