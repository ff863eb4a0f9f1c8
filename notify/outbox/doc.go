// Package outbox has messages sent that must not be forgotten: each once, at its time, by the
// first channel that can take it, and none that is not true any more.
//
// An application that sends a message itself loses it if the process dies before, and sends
// it twice if it dies after. Here a message is a durable row first, written in the
// application's own transaction if it likes, and whoever has the row in hand sends it.
//
//	box, err := outbox.New(outbox.Config{Store: rows, Channels: map[notify.Channel]notify.Notifier{
//		notify.WhatsApp: chat, notify.Email: mail,
//	}})
//	go box.Run(ctx)
//	err = box.Enqueue(ctx, outbox.Message{Group: "visit-42", Key: "confirmed", …})
//	mux.Handle("/webhooks/whatsapp", chat.Reports(box.Report))
//
// All messages of a group, of one visit for instance, are in one row. What is done about it
// is the first line of this table that fits; the function decide is the table.
//
//	what is known of a message                               what is done
//	it is being sent, and nobody has the row in hand         note a death: its outcome is unknown
//	it waits, and is older than the group's generation,      drop
//	  superseded by a newer reminder, or its time is over
//	its outcome stays unknown, and it must not arrive twice  ask a person: it is stuck
//	its outcome stays unknown                                have it sent again
//	it was sent a while ago                                  clear: nobody is left in it
//	it is expired, stuck, taken by no channel, or has        tell OnStuck
//	  failed twelve times in a row
//	its outcome is unknown, and somebody may know            ask for evidence
//	it is due, and the last send of the group is not just    send it by its next channel
//	  over
//	nothing of this                                          wait
//
// That a message is being sent is written down before its first byte. From then on Drop comes
// too late for it, and whoever finds it so later knows that somebody has died in the middle.
//
// # What may go wrong
//
// Whether a message was sent is unknown after such a death, and after telemed.ErrAmbiguous.
// No outbox alone can keep both "never twice" and "never lost" then. Evidence can: a report
// of the provider (see Report), or an answer of Config.Evidence. With it a message arrives
// once: a send that it says did not arrive has failed, and is made again, the first at once.
// Without it, a Notice and a Reminder are sent again after Config.EvidenceWait, so that
// one death in a round trip is one message too many, and a message of the category Once waits
// for a person. After three sends that nobody knows of every message does.
//
// A provider's "not now" and its failures have a message wait on that channel: half a minute
// at first, up to half an hour. Refused credentials pause the channel of the tenant, which is
// told once; messages go by their next channel meanwhile. So do those that a channel does not
// permit: a blocked account, a template that is paused.
//
// What a message says may be composed when it is sent, from the application's own rows, and
// be found untrue then. That is better than words that were kept, and keeps less of a person.
//
// # Security
//
// A row holds who is told, and the words, until the message has arrived, or for three days
// while another channel may still be needed; and while a person must look at it. A Store
// seals it. The audit trail, the names of rows and what is logged have keys, channels, states
// and times. Erase takes out everything personal of a group.
//
// Who wants no more messages is kept as a keyed hash of the address, and so is which
// addresses are one person's.
//
// # Testing
//
// With durable.NewMemory, and whatsapptest and smtptest in memory, days of an outbox pass at
// once in a testing/synctest bubble.
package outbox
