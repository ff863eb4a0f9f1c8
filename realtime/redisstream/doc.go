// Package redisstream is a realtime.Journal in a stream of Redis: several processes share
// rooms, events, kicks and positions. It is a module of its own.
//
//	client := redis.NewClient(&redis.Options{Addr: "redis:6379", Password: …, TLSConfig: …})
//	journal, err := redisstream.New(redisstream.Config{Client: client, InsecureClear: true})
//	…
//	err = journal.Shutdown(ctx)
//
// # Node beside it
//
// The stream is that of @socket.io/redis-streams-adapter 0.3, with its defaults: servers
// in Node and in Go serve the same rooms, both ways, during a migration. What Node sends
// reaches Follow: broadcasts, also with binary arguments, socketsJoin, socketsLeave and
// disconnectSockets. Four things do not cross over:
//
//   - Broadcasts that ask for acknowledgements, serverSideEmit and fetchSockets. Node sends
//     them by publish and subscribe; this package does not subscribe, so Node neither waits
//     for it nor lists its clients.
//   - The sessions of connectionStateRecovery. A client that changes from one kind of
//     server to the other is told that it was not recovered.
//   - Presence. Node's clients are not among those that realtime's Hub.Presence returns.
//   - Node's order. It delivers its own events before it reads the others'. Followers here
//     see the order of the stream.
//
// With the adapter's streamCount above 1, the stream of a namespace is "socket.io-" and
// the number that its hashCode gives; set Config.Stream to that.
//
// # Positions and gaps
//
// Each position is the id of an entry. It is good for as long as that entry is there: all
// that came later is then there too, because Redis trims the oldest first. A position
// whose entry is gone is realtime.ErrGap. This holds for a trimmed stream, FLUSHALL, a
// deleted key, and a replica or a dump that is older than what was read.
//
// After an older dump, positions from before it are still there, and entries after them
// are lost. Whoever notices appends a marker, and what would have to cross it is
// realtime.ErrGap. Everybody notices who has read or appended one of the lost entries. A
// fleet of which every process was restarted together with Redis cannot notice: have
// Redis write each entry (appendonly yes, appendfsync always) where that matters.
//
// Before the first entry of a stream, Head appends a marker, so that there is a position.
// Node passes over markers.
//
// The stream holds 10,000 entries by default, of all rooms and kinds together. At 80
// entries a second these are two minutes.
//
// # Redis
//
// One server, a replica behind it, or Sentinel; Redis 5 or later, tested with 7.0. The user
// needs XADD, XREAD, XRANGE, XREVRANGE, MULTI and EXEC on the one key, and EVAL to mark a
// loss. For realtime's Config.Presence it needs EVAL, HGETALL, HSET, HDEL, PEXPIRE and TIME
// on the keys that begin with Stream and ":present:", too. Each process has a connection
// that waits, and a few that write. An entry costs Redis one XADD, and each
// process reads it once, however many clients there are. Redis holds an answer in memory until
// it is read, and counts it in entries. So few are asked for while they are long: an answer has
// about 4 MiB, and where long entries follow short ones once 64 of them.
//
// # Errors
//
// A *Error has the operation and Redis's error code. telemed.ErrUnavailable: Redis could
// not be reached, or refused, and nothing was appended. telemed.ErrUnauthorized: it does
// not know the user or does not permit the command. telemed.ErrAmbiguous: the answer to an
// Append was lost, or has words that are none of Redis's, as those of a proxy. An entry is
// sent once and never again by itself. Follow never returns because Redis is away: it tries
// again, after 50 ms and up to 5 s, at random moments, and Stats tells since when.
//
// # Security
//
// Events lie in Redis until they are trimmed, and rooms with them: no clock trims the stream,
// so that in a quiet clinic 10,000 entries may be those of weeks. With Node beside it they
// lie there in clear, which Config.InsecureClear says. Without Node, Config.Seal encrypts
// them. So it is with ids and subjects of clients where realtime's Config.Presence is set;
// names of rooms stand there as a SHA-256. Passwords and TLS are those of Config.Client.
// go-redis prints by a logger of its own, with the server's address; redis.SetLogger
// replaces it.
//
// # Testing
//
// realtimetest.RunJournal judges this package; an application's own tests are well served
// by a realtime.MemoryJournal.
package redisstream
