package wiretest

import (
	"bytes"
	"maps"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The error codes of transactions.
const (
	codeWriteConflict     = 112
	codeNoSuchTransaction = 251
)

// transaction is what one sees and has written. It reads the collections as they were when
// it began. A real server notices a conflict at the write already; this one also when the
// other one has written first and the transaction commits.
type transaction struct {
	number    int64
	base      map[string]*collection // as it began; nobody changes it
	own       map[string]*collection
	committed bool
}

func snapshot(of map[string]*collection) map[string]*collection {
	copied := map[string]*collection{}
	for name, c := range of {
		copied[name] = &collection{maps.Clone(c.byID)}
	}
	return copied
}

// inTransaction reports whether the command is part of one.
func inTransaction(body bson.Raw) bool { return body.Lookup("autocommit").Type != 0 }

// transact runs a command of a transaction. One that fails ends it.
func (s *Server) transact(command Command) (bson.D, *failure) {
	session, number, known := retryable(command.Body)
	if !known {
		return nil, &failure{codeBadValue, "a transaction has no number"}
	}
	if begin, _ := command.Body.Lookup("startTransaction").BooleanOK(); begin {
		s.transactions[session] = &transaction{number: number, base: snapshot(s.collections), own: snapshot(s.collections)}
	}
	t := s.transactions[session]
	if t == nil || t.number != number {
		return transient(codeNoSuchTransaction), nil
	}
	switch command.Name {
	case "commitTransaction":
		return s.commit(session, t), nil
	case "abortTransaction":
		delete(s.transactions, session)
		return ok(), nil
	}
	all := s.collections
	s.collections = t.own
	reply, refused := s.command(command)
	s.collections = all
	switch {
	case s.conflicts(t):
		delete(s.transactions, session)
		return transient(codeWriteConflict), nil
	case refused != nil, failed(reply):
		delete(s.transactions, session)
	}
	return reply, refused
}

func failed(reply bson.D) bool {
	for _, field := range reply {
		if field.Key == "writeErrors" {
			return true
		}
	}
	return false
}

// transient is a refusal after which a driver begins the transaction again.
func transient(code int32) bson.D {
	return append((&failure{code, "the transaction is over"}).reply(), bson.E{Key: "errorLabels", Value: bson.A{"TransientTransactionError"}})
}

// commit is repeated by a driver that has not heard of the first one.
func (s *Server) commit(session string, t *transaction) bson.D {
	if t.committed {
		return ok()
	}
	if s.conflicts(t) {
		delete(s.transactions, session)
		return transient(codeWriteConflict)
	}
	for namespace, id := range t.changed() {
		if s.collections[namespace] == nil {
			s.collections[namespace] = &collection{byID: map[string]bson.Raw{}}
		}
		if document, there := t.own[namespace].byID[id]; there {
			s.collections[namespace].byID[id] = document
		} else {
			delete(s.collections[namespace].byID, id)
		}
	}
	t.committed = true
	return ok()
}

// changed yields what the transaction has written, by namespace and id.
func (t *transaction) changed() func(yield func(namespace, id string) bool) {
	return func(yield func(namespace, id string) bool) {
		for namespace, own := range t.own {
			var before map[string]bson.Raw
			if base := t.base[namespace]; base != nil {
				before = base.byID
			}
			ids := maps.Clone(own.byID)
			maps.Copy(ids, before)
			for id := range ids {
				if !bytes.Equal(own.byID[id], before[id]) && !yield(namespace, id) {
					return
				}
			}
		}
	}
}

// conflicts reports whether somebody else has changed what the transaction has written.
func (s *Server) conflicts(t *transaction) bool {
	lookup := func(of map[string]*collection, namespace, id string) bson.Raw {
		if c := of[namespace]; c != nil {
			return c.byID[id]
		}
		return nil
	}
	for namespace, id := range t.changed() {
		if !bytes.Equal(lookup(s.collections, namespace, id), lookup(t.base, namespace, id)) {
			return true
		}
	}
	return false
}
