package wiretest

import (
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const setName = "rs-wiretest"

// The error codes of MongoDB that are used here.
const (
	codeBadValue           = 2
	codeCursorNotFound     = 43
	codeCommandNotFound    = 59
	codeNotImplemented     = 238
	codeNotWritablePrimary = 10107
	codeDuplicateKey       = 11000
)

// failure is a command that is refused.
type failure struct {
	code int32
	text string
}

func (f *failure) reply() bson.D {
	return bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: f.code}, {Key: "errmsg", Value: f.text}}
}

func notPrimary() bson.D {
	refused := (&failure{codeNotWritablePrimary, "not primary"}).reply()
	return append(refused,
		bson.E{Key: "codeName", Value: "NotWritablePrimary"},
		bson.E{Key: "errorLabels", Value: bson.A{"RetryableWriteError"}})
}

func ok(fields ...bson.E) bson.D { return append(bson.D(fields), bson.E{Key: "ok", Value: 1.0}) }

// monitor answers what drivers ask by themselves.
func (s *Server) monitor(name string) (bson.D, bool) {
	switch name {
	case "hello", "isMaster", "ismaster":
		return s.hello(), true
	case "endSessions":
		return ok(), true
	}
	return nil, false
}

func (s *Server) hello() bson.D {
	return ok(
		bson.E{Key: "helloOk", Value: true},
		bson.E{Key: "isWritablePrimary", Value: true},
		bson.E{Key: "ismaster", Value: true},
		bson.E{Key: "setName", Value: setName}, // without it a driver never uses retryable writes
		bson.E{Key: "setVersion", Value: int32(1)},
		bson.E{Key: "hosts", Value: bson.A{s.address()}},
		bson.E{Key: "primary", Value: s.address()},
		bson.E{Key: "me", Value: s.address()},
		bson.E{Key: "secondary", Value: false},
		bson.E{Key: "maxBsonObjectSize", Value: int32(16 << 20)},
		bson.E{Key: "maxMessageSizeBytes", Value: int32(maxMessage)},
		bson.E{Key: "maxWriteBatchSize", Value: int32(100_000)},
		bson.E{Key: "localTime", Value: bson.NewDateTimeFromTime(time.Now())},
		bson.E{Key: "logicalSessionTimeoutMinutes", Value: int32(30)},
		bson.E{Key: "minWireVersion", Value: int32(0)},
		bson.E{Key: "maxWireVersion", Value: int32(21)}, // MongoDB 7.0
	)
}

// written is the last retryable write of a session and its answer.
type written struct {
	number int64
	reply  bson.D
}

// apply runs a command, and a retried write only once. The caller holds s.mu.
func (s *Server) apply(command Command) bson.D {
	session, number, retryable := retryable(command.Body)
	if retryable {
		if last := s.sessions[session]; last.reply != nil && last.number == number {
			s.stats.Replayed++
			return last.reply
		}
	}
	s.commandTime = bson.NewDateTimeFromTime(s.clock())
	reply, refused := s.run(command)
	if refused != nil {
		return refused.reply()
	}
	if retryable {
		s.sessions[session] = written{number, reply}
	}
	return reply
}

func retryable(body bson.Raw) (session string, number int64, ok bool) {
	number, ok = body.Lookup("txnNumber").Int64OK()
	if !ok {
		return "", 0, false
	}
	_, id, ok := body.Lookup("lsid", "id").BinaryOK()
	return string(id), number, ok
}

func (s *Server) run(command Command) (bson.D, *failure) {
	if body := command.Body; body.Lookup("startTransaction").Type != 0 || body.Lookup("autocommit").Type != 0 {
		return nil, &failure{codeNotImplemented, "wiretest has no transactions"}
	}
	switch command.Name {
	case "ping":
		return ok(), nil
	case "insert":
		return s.insert(command.Body)
	case "update":
		return s.update(command.Body)
	case "findAndModify":
		return s.findAndModify(command.Body)
	case "delete":
		return s.remove(command.Body)
	case "find":
		return s.find(command.Body)
	case "getMore":
		return s.getMore(command.Body)
	case "killCursors":
		return s.killCursors(command.Body)
	}
	return nil, &failure{codeCommandNotFound, "no such command"}
}

// only refuses a document that has other fields than those named.
func only(what string, document bson.Raw, names ...string) *failure {
	elements, err := document.Elements()
	if err != nil {
		return &failure{codeBadValue, what + " is malformed"}
	}
	for _, element := range elements {
		if !slices.Contains(names, element.Key()) {
			return &failure{codeNotImplemented, "wiretest does not know " + what + "." + element.Key()}
		}
	}
	return nil
}

// common are the fields that any command may carry.
var common = []string{"$db", "lsid", "txnNumber", "$clusterTime", "$readPreference", "writeConcern", "readConcern", "maxTimeMS"}

func documents(body bson.Raw, name string) ([]bson.Raw, *failure) {
	array, ok := body.Lookup(name).ArrayOK()
	if !ok {
		return nil, &failure{codeBadValue, name + " is missing"}
	}
	values, err := array.Values()
	if err != nil {
		return nil, &failure{codeBadValue, name + " is malformed"}
	}
	var found []bson.Raw
	for _, value := range values {
		document, ok := value.DocumentOK()
		if !ok {
			return nil, &failure{codeBadValue, name + " holds something else than documents"}
		}
		found = append(found, document)
	}
	return found, nil
}
