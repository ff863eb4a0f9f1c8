// Package zoom makes video consultations in a doctor's Zoom account.
//
// A [Client] is a [meet.MeetingProvider] and a [meet.HostLinker]:
//
//	z, err := zoom.New(zoom.FromEnv(os.Getenv, tokens)) // or a Config; tokens is a store.TokenStore
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
// [NewWebhook] receives what Zoom tells about meetings and accounts, each event once;
// [Client.Deauthorized] deletes the tokens of a doctor who removed the app in Zoom.
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
// Zoom knows no idempotency keys, and nobody knows how far its lists lag behind. So
// [Config.Claims] say what became of a Key, in all processes: asked for, made, cancelled.
//
//   - Whoever calls while another process is at it waits for that one.
//   - If an answer was lost, or a process died, the next Create looks for the meeting by
//     the hash of its Key in the agenda. It makes one when Zoom's list must have caught up.
//   - A cancelled Key stays cancelled, also if the doctor has deleted the meeting in Zoom:
//     meet.ErrCancelled. A new meeting takes a new Key.
//
// Create deletes no meeting but one that it has just made and given to nobody, because
// Zoom made it otherwise than asked.
//
// # Which account
//
// Claims also say in which account a meeting was made. Zoom's word that it knows no such
// meeting is believed only from that account, and only in Zoom's own JSON with its code.
// From another one it is meet.ErrOtherAccount; if nobody knows, telemed.ErrAmbiguous.
//
// # Errors
//
// Errors match those of package meet; errors.AsType[*zoom.Error] has Zoom's code and
// tracking id. Zoom lets each doctor's meetings be made and changed 100 times a day: then
// the error is [ErrDailyLimit], at once, with the time until midnight UTC in RetryAfter.
//
// # Security
//
// Join links and host links lead to Zoom, or nobody gets them. A host link makes whoever
// holds it the doctor: fetch it on the click, redirect, keep it
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
