// Package realtimetest tests an application's realtime side: a Recorder to look at what
// the application broadcasts, and a Client to connect to its server as a browser does.
//
//	var sent realtimetest.Recorder
//	clinic := NewClinic(&sent)             // wants a realtime.Broadcaster
//	clinic.Book(ctx, appointment)
//	sent.All()                             // one broadcast, to "clinic-7"
//
//	client, err := realtimetest.Dial(ctx, server.URL, realtimetest.Options{Header: cookie})
//	defer client.Close()
//	answer, err := client.EmitAck(ctx, "join-clinic", "7")  // {"ok":true}
//	event, err := client.Next(ctx)                          // "new-appointment"
//
// Nothing here needs package testing, and the client shares no code with
// realtime/socketio: what they agree on is the protocol.
//
// # Errors
//
// A refused handshake is a *HandshakeError with the status and the server's
// answer. Once the connection has ended, methods return an error that matches
// telemed.ErrClosed.
//
// # Security
//
// For tests only: the client trusts its server, and keeps all it gets until Next takes
// it.
package realtimetest
