// Package bubbletest lives through days of a hospital in one testing/synctest bubble: the
// leaves speak to the fakes of Google, Zoom, Razorpay, a mail server and WhatsApp over
// their wires, the fakes' webhooks come to an application, and no time passes. It has
// tests only.
package bubbletest
