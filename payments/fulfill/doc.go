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
//	the bill is paid, to be fulfilled, and is not              Fulfill
//	a captured payment buys nothing, and nobody is to be asked want its refund
//	a refund is wanted and not asked for                       refund
//	it is time for a sweep, or for a lapse                     look
//	something happened that the application is to know         Notify
//	nothing of this                                            wait for the next sweep
//
// The order decides whether a bill is paid, never a payment's amount: an offer makes that
// smaller, a fee larger, and an instalment is only a part.
package fulfill
