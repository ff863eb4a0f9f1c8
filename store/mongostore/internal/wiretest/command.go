package wiretest

import (
	"io"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Command is one command as it was received.
type Command struct {
	// Name is "insert", "find" and so on.
	Name string
	// Body is the whole command, with document sequences folded in.
	Body bson.Raw
}

func commandOf(body bson.Raw) (Command, error) {
	element, err := body.IndexErr(0)
	if err != nil {
		return Command{}, io.ErrUnexpectedEOF
	}
	return Command{Name: element.Key(), Body: body}, nil
}

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
var common = []string{"$db", "lsid", "txnNumber", "$clusterTime", "$readPreference", "writeConcern", "readConcern", "maxTimeMS", "startTransaction", "autocommit"}

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
