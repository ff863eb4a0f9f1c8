// Package visit has video visits take place: reserved, paid, given a meeting, told to patient
// and doctor, shown on the dashboard, reminded of, moved, cancelled, refunded.
//
//	visits, err := visit.New(visit.Config{
//		Store: st.Rows(), Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", ReturnURL: page,
//		Meetings: map[string]meet.MeetingProvider{"google": google, "zoom": zoom},
//		Gateway:  gateway, Mail: mail, WhatsApp: whats, Live: live,
//	})
//	…
//	err = st.InTx(ctx, func(tx *sqlstore.Tx) error { // with the application's own row, or not at all
//		return visits.WithStore(tx).Book(ctx, visit.Request{ID: "appt-42", …})
//	})
//	err = visits.Run(ctx) // does the rest, until ctx ends
//
// A wish (Book, Move, Cancel) is one write of a row, in the application's transaction, and
// nothing of it goes to the network. What follows is done by Run, one effect at a time, each
// written down before the next, in any number of processes, each of which may be killed or
// frozen at any moment. Everything but the Store is optional.
//
// # What is done about a visit
//
// A visit is one durable row. What is done is the first line of this table that fits, and
// that does not rest after a failure; the function decide is the table.
//
//	what is known                                                what is done
//	it is to be paid, and there is no bill                       open the bill
//	it is booked, and its hours are only reserved                keep them, or find them taken
//	it does not take place, and money may have been taken        close the bill, give back
//	it is booked, and has no meeting                             make the meeting
//	its meeting is at another time                               move the meeting
//	it does not take place, and there may be a meeting           cancel the meeting
//	it holds hours that it does not want any more                free the hours
//	somebody is to be told                                       queue the messages
//	the dashboard shows something else                           broadcast
//	the application knows something else                         OnChange
//	nothing of this                                              wait
//
// And where it stands is the first line of this one that fits:
//
//	somebody has cancelled it                                    cancelled
//	it was paid, and another visit has its hours by then         gone
//	nobody paid in time                                          lapsed
//	it is free, or paid                                          booked
//	                                                             reserved
//
// The bill is a row of package fulfill, the messages of a visit are one of package outbox,
// and a doctor's day is one that holds the hours of visits. Whether a bill is paid, has
// lapsed, or money is back, only fulfill says; whether a message has arrived, only outbox.
//
// # Who is told what
//
//	the patient  receipt, confirmed or moved, reminders, cancelled, refund on its way, refunded;
//	             shortly before the start, that the link is still to come
//	the doctor   booked, moved, cancelled, by mail; to connect the account again, once
//	the page     "new-appointment", then "appointment-changed", in the room "clinic-" + Tenant
//
// What a message says is read when it is sent; one that is not true any more by then is not
// sent, and one about a meeting that is just being made anew waits. Confirmed, moved and
// cancelled go by mail and by WhatsApp, reminders by WhatsApp or else mail, all about money by
// mail or else WhatsApp.
//
// # Errors
//
// A wrong field is a telemed.FieldError before anything is written; ErrTaken is that the
// doctor has another visit then. What fails later rests for half a minute, then longer, and
// is tried until it is done; after twelve failures in a row Config.OnStuck is told, and
// Visit.Stuck says it. A doctor whose account does not work any more is asked to connect it
// again; then, by Connected, the visits go on that wait for it.
//
// # Security
//
// Who patient and doctor are is in Item.Data, which the Store seals. Trails, room names, keys
// and errors have ids and times only. The event that dashboards get has the patient's name:
// whoever may join the room may read it.
//
// # Testing
//
// meet/visit/visittest explores what becomes of visits when processes die anywhere.
package visit
