// Package telemed is the map of an SDK for telemedicine that a hospital's Go backend imports:
// a doctor connects Google or Zoom, an appointment gets a meeting, the patient pays
// through Razorpay, e-mail and WhatsApp carry the news, and clinic dashboards see it live.
// This package has no code; it says what the others are for.
//
// # Packages
//
// A category package says what a thing means, a leaf does it with one provider, and a …test
// package is how a host tests with it.
//
//   - meet: meetings. meet/googlemeet and zoom make them; meet/connect lets a doctor connect an account.
//   - payments: orders, verified payments, refunds and webhooks. payments/razorpay does it.
//   - notify: messages to a recipient. notify/template writes them in English and Hindi;
//     notify/smtp and notify/whatsapp deliver them.
//   - realtime: rooms and broadcasts. realtime/socketio speaks to the socket.io client that pages have already.
//   - store: tokens of connected accounts, refreshed exactly once. store/sqlstore and store/mongostore keep them.
//
// # Composing
//
// A host owns its HTTP server, database and users. It builds the leaves it wants with New and a Config,
// mounts their handlers where it likes, and asks for interfaces: meet.MeetingProvider,
// payments.PaymentGateway, notify.Notifier, realtime.Broadcaster, store.TokenStore.
// examples/hospital is a whole host; the other examples show one package each.
//
// # Promises
//
//   - Nothing runs by itself: no globals, no init, no environment read, no goroutine without an owner and a Close.
//   - Every side effect takes a key of the host's, such as an appointment's id: calling again after a
//     crash or a lost reply does it once. Where nobody can know, the error is ErrAmbiguous, never "failed".
//     A message may arrive twice if the host sends it again after ErrAmbiguous.
//   - Errors are shared values: meet.ErrRateLimited is notify.ErrRateLimited. A wrong field is
//     named by a *FieldError before anything is sent.
//   - Secrets and patients' data are not in errors, logs, URLs of ours or a provider's visible fields.
package telemed
