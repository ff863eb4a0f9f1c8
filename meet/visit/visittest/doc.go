// Package visittest explores what becomes of visits when processes die: an application's
// own, or this SDK's. It lives through stories of visits again and again, and has a process
// die at another point each time.
//
//	func TestVisitsSurvive(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			report := visittest.Explore(t, visittest.Config{
//				World:   newWorld,
//				Stories: []visittest.Story{{
//					Name: "kept", Request: request, Starts: 72 * time.Hour, Pays: time.Minute,
//					Wishes: []visittest.Wish{{After: 24 * time.Hour, Move: time.Hour}},
//				}},
//				Schedules: 1000,
//			})
//			t.Log(report)
//		})
//	}
//
// The World is what outlives processes: rows, and the providers' fakes. Its New builds one
// process of the application, as main does, over what a Process makes of them: Store, Tokens
// and Claims, Transport and Dial for providers on the wire, Notifier, Meetings and Gateway
// for those in memory, and Point for what the application does beside. A story of days takes
// no time in a bubble of testing/synctest.
//
// # Schedules
//
// A point lies before and after each call of a store, each HTTP exchange, and each write and
// read of an SMTP connection, inside the providers' clients too. Explore first lives through
// each story without a death, to learn its points. Then there are two kinds of schedules.
// In one of the first kind a process dies at one point, until each was had. The others are
// random:
//
//   - one story, or two at once, in two to four processes, of which up to three die
//   - one stands still until others have taken over what it had
//   - requests and answers of providers are lost
//   - webhooks come late, twice, in another order or never
//   - somebody moves or cancels in the middle of something
//   - a page of the application holds the rows in an open transaction for seconds, while what
//     was found out is to be written down
//
// # What is looked at
//
// At the end of a schedule nothing may be under way. Then what the rows say is compared with
// World.Truth, which is what the providers have: no second meeting, charge, refund or
// message, nothing lost, no message for an old time, no money kept of a visit that does not
// take place. What could not be done somebody was told of. World.Check adds what is the
// application's own.
//
// A problem tells its point. The same again is Config.At, with -race or a debugger.
//
// # Errors
//
// Explore finds what is wrong with its Config at once, by TB.Fatalf. A World that cannot be
// made is a problem like others.
package visittest
