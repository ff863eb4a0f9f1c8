// Package fake is what the fakes of this module have in common. The fakes that speak a
// provider's protocol (zoomtest, googlemeettest, razorpaytest, whatsapptest, smtptest)
// are built of:
//
//   - [Listener], on loopback or in memory, and [Certificate];
//   - [Script], the faults that wait for their requests;
//   - [Log], the record of what arrived;
//   - [Clock];
//   - [Webhooks], which come until the application takes them;
//   - [Server], which is all of these for HTTP.
//
// The doubles in memory (meettest, paymentstest, notifytest, realtimetest) are built of
// [Errors], [Log] and [Changes].
//
// What a kit exports it declares itself, so that its documentation shows it: a Fault and
// a Request of these shapes, and the methods that pass them on.
//
// Everything works inside a testing/synctest bubble, if it is in memory and was made
// there.
package fake
