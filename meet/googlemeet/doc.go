// Package googlemeet makes video consultations with Google Meet: an event in the
// doctor's Google Calendar, with a Meet room in it.
//
//	google, err := googlemeet.New(googlemeet.FromEnv(os.Getenv, tokens)) // or a Config
//	m, err := google.Create(ctx, doctorID, meet.Request{
//		Key: "appt-42", Start: start, Duration: 30 * time.Minute,
//	})
//
// A doctor connects an account once, by store/connect with [Client.OAuth]. From
// then on the Client keeps the token valid, in every process that shares the TokenStore.
//
// # Once
//
// The event's id is derived from the Key, so the second of two Creates, in whichever
// process and after whichever lost reply, finds the event of the first. A meeting
// that was moved since is ErrConflict: moving is for [Client.Update]. A cancelled event
// keeps its id for ever at Google, and so its Key stays cancelled: meet.ErrCancelled, also
// if the doctor deleted the event in the calendar. A new meeting takes a new Key.
//
// An id is taken in one calendar alone. [Config.Claims] say in which account a Key has its
// event, and remember that it was cancelled, if the doctor connects another account.
//
// # Which account
//
// That there is no such event is believed only from the account that it was made in, and
// only in an error of Google's own form. From another one it is meet.ErrOtherAccount.
// Without [ScopeOpenID] nobody knows the account. Then the event itself tells: one that
// another account created is meet.ErrOtherAccount, one that was deleted Google remembers
// for some time, and any other that is not found is telemed.ErrAmbiguous.
//
// Google makes the room after the event. Create waits for it for ConferenceWait; if it is
// still not there, the meeting has meet.StatusPending, and Get tells it later. A
// room that Google failed to make is asked for once more, then reported: create again.
//
// # Errors
//
// Errors match those of package meet. An *[Error] tells more: the status, Google's
// reason, and the Meeting, if one exists all the same. Google's own words and the
// address of a request are in none: they can hold what patients are called.
//
// What Google turned away as too much, whether with 429 or 403, is tried again with
// growing pauses; "quotaExceeded" is not, because that limit lasts for hours. A
// doctor who took the permission away gets ErrReconnect.
//
// # Security
//
// The event is private, neutral in its title, and holds a hash of the Key. Guests see
// neither each other nor may they invite others. Whom Google invites, Google knows: leave
// Attendees empty and send the link yourself if that is not wanted.
//
// The smallest permission that works is [ScopeEventsOwned]. A join link is handed on only
// if it leads to Google Meet. GOOGLE_SDK_GO_LOGGING_LEVEL, which makes Google's library
// print bodies, has no effect here.
//
// # Testing
//
// Package googlemeettest is Google on loopback, consent page included.
package googlemeet
