// Package zoom makes video consultations in a doctor's Zoom account.
//
// A [Client] is a [meet.MeetingProvider] and a [meet.HostLinker]:
//
//	z, err := zoom.New(zoom.Config{
//		ClientID:     os.Getenv("ZOOM_CLIENT_ID"),
//		ClientSecret: telemed.NewSecret(os.Getenv("ZOOM_CLIENT_SECRET")),
//		RedirectURL:  "https://clinic.example/zoom/callback",
//		Tokens:       tokens, // a store.TokenStore
//	})
//	…
//	defer z.Shutdown(ctx)
//	m, err := z.Create(ctx, doctorID, meet.Request{
//		Key: "appt-42", Start: start, Duration: 30 * time.Minute,
//	})
//	// m.JoinURL is for the patient. z.HostLink(ctx, doctorID, m.ID) is for the doctor, when
//	// she clicks.
//
// The doctor connects an account once: store/connect serves that with [Client.OAuth].
// Zoom's refresh tokens are spent by use; store/oauth refreshes each exactly once.
// [NewWebhook] receives what Zoom tells about meetings and accounts, each event once, and
// [MeetingSignature] lets the application's own page show a meeting.
//
// # What a meeting is like
//
// Each has a room of its own (never the doctor's personal one) with a random passcode and
// a waiting room; nobody enters before the doctor; nothing is recorded, summarized or
// mailed by Zoom. [Config.Settings] changes that. An account's administrator can lock
// settings, and Zoom then ignores what it is asked for: Create compares, cancels such a
// meeting and returns [ErrMismatch], unless [Config.AcceptLocked] lets it pass.
//
// # Create happens once
//
// Zoom knows no idempotency keys. Create writes a hash of the request's Key into the
// agenda and looks for it in the doctor's meetings before it makes one and afterwards, so
// that a lost answer or a second process leaves one meeting. Create deletes no meeting
// but the one that it has just made and given to nobody itself: it does so if there is an
// older one. The price is a spare meeting where two processes meet within one second or
// Zoom's list lags behind; the next Create with that Key returns the oldest. A link goes
// dead only if a third process found the newer meeting in the moment before it was
// withdrawn. A doctor who rewrites the agenda in Zoom takes the mark away.
//
// # Errors
//
// Errors match those of package meet; errors.AsType[*zoom.Error] has Zoom's code and
// tracking id. Zoom lets each doctor's meetings be made and changed 100 times a day: then
// the error is [ErrDailyLimit], at once, with the time until midnight UTC in RetryAfter.
//
// # Security
//
// A host link makes whoever holds it the doctor: fetch it on the click, redirect, keep it
// nowhere. Webhooks are verified over their raw bytes before anything in them is
// believed, also the one that asks to validate the endpoint, since answering that
// unverified signs for anybody. Zoom's words are never part of an error: they may repeat
// a name.
//
// # Testing
//
// zoomtest is Zoom on loopback, with a consent page, rotating tokens and faults on
// demand.
package zoom
