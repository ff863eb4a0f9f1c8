// Package fulfill makes "paid means booked, once" true: each bill that is paid is fulfilled
// once, no other is, and money that buys nothing goes back.
//
// Whatever happens to a payment reaches the application by four ways: the browser's
// callback, the gateway's webhooks, a sweep after a while, and a button that somebody
// presses. Each can be lost, doubled or late. Here none of them carries truth. All say
// only "look at this bill"; one function then reads the bill's orders, payments and refunds
// from the gateway, and decides.
//
//	bills, err := fulfill.New(fulfill.Config{Store: rows, Gateway: gateway, Fulfill: book})
//	go bills.Run(ctx)
//	err = bills.Open(ctx, fulfill.Bill{Key: "bill-42", Amount: payments.INR(50000)})
//	order, err := bills.Checkout(ctx, "bill-42")      // for the payment page
//	status, err := bills.Settle(ctx, "bill-42")       // in the callback
//	payments.WebhookConfig{Handle: bills.Event, …}    // for the webhooks
//
// A bill is one durable row. What is done about it is the first line of this table that
// fits; the function decide is the table.
//
//	what is known                                              what is done
//	somebody said look                                         look
//	a payment is authorized, and the bill is to be paid        capture
//	the bill is paid, and to be fulfilled                      Fulfill
//	a captured payment buys nothing, and nobody is to be asked want its refund
//	a refund is wanted and not asked for                       refund
//	it is time for a sweep, for a lapse, to ask for a refund   look
//	something happened that the application is to know         Notify
//	nothing of this                                            wait for the next sweep
//
// What fails rests for half a minute, then longer, up to half an hour, and is tried until
// it is done; meanwhile the next lines have their turn. Only a look that somebody has asked
// for holds up all others but Fulfill: they would act on what is old.
//
// The order decides whether a bill is paid, never a payment's amount: an offer makes that
// smaller, a fee larger, and an instalment is only a part.
//
// # What may go wrong
//
// A death between Fulfill and the note that it was done has it called again, with the same
// Key. A refund that is asked for again has the same key at the gateway, and its mark in the
// notes, by which a look finds it.
//
// What fails twelve times in a row, which takes some three hours, is told to Config.OnStuck
// once, and Status.Stuck says it, while it goes on. A row that is stuck itself, after three
// panics or because it cannot be read, is told the same way; nothing is done about it
// before the next Look, or durable.Runner.Retry.
//
// # Security
//
// A row holds ids, amounts and states, the notes of the bill, and nobody's name. A Store
// seals it. Errors of Fulfill and Notify are logged without their text, which may be
// anybody's words.
package fulfill
