// Package routers shows the handlers of an application under chi, gin and echo. It is a
// module of its own, so that nobody else needs these. It has tests only.
//
//	cd examples/routers && go test -v
//
// What holds for each router:
//
//   - A handler finds {provider}, {action}, {tenant} and {id} by r.PathValue. chi and
//     echo v5 fill it; gin and echo v4 do not, and a few lines do it.
//   - The body is left alone before a handler: a signature is over its bytes.
//   - Timeouts and compression of all answers stay away from /socket.io/, whose polls wait
//     and whose connections are taken over.
//   - telemed.Shutdown ends the socketio.Server before the http.Server.
package routers
