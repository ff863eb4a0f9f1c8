package mongostore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// SeedImport says what ImportSeed brings over.
type SeedImport struct {
	// Doctors is the collection of doctor documents. They are read, never written.
	// Required.
	Doctors *mongo.Collection
	// Tokens takes the tokens: a Store, encrypted or not, or any other TokenStore.
	// Required.
	Tokens store.TokenStore
	// Provider is the AccountID.Provider of the tokens. If empty, "google".
	Provider string
	// TokenField is the field of a document that holds its token: "zoomToken", for an import of
	// its own with the Provider "zoom". If empty, "googleMeetToken".
	TokenField string
	// ConnectedField is the field that must be true. If empty, "googleMeetConnected", or with a
	// TokenField any document that has one.
	ConnectedField string
	// Subject returns the application's id of the doctor, the AccountID.Subject, for a
	// document's _id. If nil, an ObjectID gives its 24 hexadecimal digits and a text
	// itself.
	Subject func(id bson.RawValue) (string, error)
}

// SeedReport counts the documents that say that they have a token.
type SeedReport struct {
	// Seen is how many there are; it is the sum of the others.
	Seen int
	// Imported is how many tokens were written.
	Imported int
	// Kept is how many doctors had a token in the store that was left as it is.
	Kept int
	// Incomplete is how many have a refresh token neither in the document nor in the
	// store: those doctors must connect again.
	Incomplete int
	// Failed is how many could not be read or written. The error names them.
	Failed int
}

const (
	// maxNamed bounds how many failed documents an error names.
	maxNamed = 20
	// seedBatch is how many documents are read at a time. Their tokens must be written
	// within the ten minutes after which a server forgets a cursor that is not asked for
	// more, also if each write is tried for some seconds.
	seedBatch = 100
)

// ImportSeed copies the tokens of doctor documents of this form into a TokenStore:
//
//	{_id, googleMeetConnected: true, googleMeetToken: {
//		access_token, refresh_token, scope, token_type,
//		expiry_date /* Unix milliseconds */}}
//
// Zoom's tokens, or another provider's, come from another field, by a second import. Without
// an expiry_date, as in what Zoom answers with expires_in, a token is refreshed before use.
// Zoom's refresh token can be spent once: from the import on the other backend leaves it
// alone, or the doctor must connect again.
//
// It goes through store.Set. A token that is in the store already is overwritten only if
// it expires before the document's, its account is not known, and the document has a
// refresh token: running it again, or after doctors have connected anew, does no harm. A
// doctor who has disconnected since would be connected again: run it before the first one
// can.
//
// A document that cannot be imported does not stop the others; the error then names up to
// 20 of them by a hash of their _id and says nothing of what is in them. An error that
// matches telemed.ErrUnavailable, or ctx's, means that the documents could not be read to
// the end.
func ImportSeed(ctx context.Context, cfg SeedImport) (SeedReport, error) {
	var p fault.Problems
	p.Check(cfg.Doctors != nil, "Doctors", "is required")
	p.Check(cfg.Tokens != nil, "Tokens", "is required")
	if err := p.Err("mongostore: ImportSeed"); err != nil {
		return SeedReport{}, err
	}
	if cfg.Provider == "" {
		cfg.Provider = "google"
	}
	if cfg.Subject == nil {
		cfg.Subject = subjectOf
	}
	if cfg.TokenField == "" {
		cfg.TokenField, cfg.ConnectedField = "googleMeetToken", cmp.Or(cfg.ConnectedField, "googleMeetConnected")
	}
	run := seedRun{SeedImport: cfg}
	err := run.all(alone(ctx))
	return run.report, errors.Join(append(run.failed, err)...)
}

type seedRun struct {
	SeedImport
	report SeedReport
	failed []error
}

// all visits the documents. Only the fields that are imported cross the network.
func (r *seedRun) all(ctx context.Context) error {
	only, connected := bson.D{{Key: r.TokenField, Value: 1}}, bson.D{{Key: r.TokenField, Value: bson.D{{Key: "$nin", Value: bson.A{nil}}}}}
	if r.ConnectedField != "" {
		only, connected = append(only, bson.E{Key: r.ConnectedField, Value: 1}), bson.D{{Key: r.ConnectedField, Value: true}}
	}
	doctors := r.Doctors.Clone(pinned())
	cursor, err := doctors.Find(ctx, connected, options.Find().SetProjection(only).SetBatchSize(seedBatch))
	if err != nil {
		return unavailable("ImportSeed", err)
	}
	defer cursor.Close(context.WithoutCancel(ctx))
	for cursor.Next(ctx) {
		r.report.Seen++
		if err := r.one(ctx, cursor.Current); err != nil {
			if ctx.Err() != nil {
				r.report.Failed++
				return fmt.Errorf("mongostore: ImportSeed: %w", context.Cause(ctx))
			}
			r.fail(cursor.Current, err)
		}
	}
	if err := cursor.Err(); err != nil {
		return unavailable("ImportSeed", err)
	}
	return nil
}

func (r *seedRun) fail(document bson.Raw, err error) {
	r.report.Failed++
	if len(r.failed) < maxNamed {
		r.failed = append(r.failed, fmt.Errorf("mongostore: ImportSeed: document %s: %w", hash(document.Lookup("_id")), err))
	}
}

func (r *seedRun) one(ctx context.Context, document bson.Raw) error {
	if document.Validate() != nil {
		return errSeedToken
	}
	subject, err := r.Subject(document.Lookup("_id"))
	if err != nil {
		return errSeedID // an application's error may quote the id
	}
	key := store.AccountID{Provider: r.Provider, Subject: subject}
	token, err := seedToken(document.Lookup(r.TokenField))
	if err != nil {
		return err
	}
	guarded, stop := context.WithCancel(ctx)
	defer stop()
	switch err := store.Set(guarded, &guard{r.Tokens, token, stop}, key, token); {
	case err == nil:
		r.report.Imported++
	case errors.Is(err, errKept):
		r.report.Kept++
	case errors.Is(err, errIncomplete):
		r.report.Incomplete++
	default:
		return err
	}
	return nil
}

var (
	errKept       = errors.New("the store has a better token")
	errIncomplete = errors.New("there is no refresh token")
	errSeedID     = errors.New("its _id gives no subject")
	errSeedToken  = errors.New("its token is not one")
)

// guard is a TokenStore in which store.Set cannot overwrite a better token. Set reads
// through it before each attempt to write, so that also a token that arrives in between
// is safe.
type guard struct {
	store.TokenStore
	token store.Token
	stop  func() // ends Set, which would try again
}

// Get implements store.TokenStore.
func (g *guard) Get(ctx context.Context, key store.AccountID) (store.Record, error) {
	rec, err := g.TokenStore.Get(ctx, key)
	switch {
	case err == nil && g.better(rec.Token):
		err = errKept
	case (err == nil || errors.Is(err, telemed.ErrNotFound)) && g.token.Refresh.IsZero():
		err = errIncomplete
	default:
		return rec, err
	}
	g.stop()
	return rec, err
}

// better reports whether the stored token is worth more than the document's: whoever
// knows its account has connected here, and without a refresh token there is little to
// gain.
func (g *guard) better(stored store.Token) bool {
	return !stored.Expiry.Before(g.token.Expiry) || stored.Account.ID != "" ||
		g.token.Refresh.IsZero() && !stored.Refresh.IsZero()
}

func subjectOf(id bson.RawValue) (string, error) {
	if object, ok := id.ObjectIDOK(); ok {
		return object.Hex(), nil
	}
	if text, ok := id.StringValueOK(); ok {
		return text, nil
	}
	return "", errSeedID
}

// seedToken reads a token as Google's library for Node.js leaves it.
func seedToken(value bson.RawValue) (store.Token, error) {
	document, ok := value.DocumentOK()
	if !ok {
		return store.Token{}, errSeedToken
	}
	var (
		token store.Token
		scope string
		valid = true
	)
	for name, into := range map[string]func(string){
		"access_token":  func(text string) { token.Access = telemed.NewSecret(text) },
		"refresh_token": func(text string) { token.Refresh = telemed.NewSecret(text) },
		"token_type":    func(text string) { token.Type = text },
		"scope":         func(text string) { scope = text },
	} {
		text, ok := textOrNothing(document.Lookup(name))
		valid = valid && ok
		into(text)
	}
	token.Scopes = strings.Fields(scope)
	token.Expiry, ok = expiryDate(document.Lookup("expiry_date"))
	if !valid || !ok || token.Access.IsZero() && token.Refresh.IsZero() {
		return store.Token{}, errSeedToken
	}
	return token, nil
}

func textOrNothing(value bson.RawValue) (string, bool) {
	if value.Type == 0 || value.Type == bson.TypeNull || value.Type == bson.TypeUndefined {
		return "", true
	}
	return value.StringValueOK()
}

// expiryDate reads Unix milliseconds in any of BSON's numbers. Node.js writes a double.
// Nothing is the zero time: such a token is refreshed before use.
func expiryDate(value bson.RawValue) (time.Time, bool) {
	if text, ok := textOrNothing(value); ok {
		return time.Time{}, text == ""
	}
	const farthest = 253_402_300_799_999 // the year 9999
	var ms float64
	switch value.Type {
	case bson.TypeDouble, bson.TypeInt32, bson.TypeInt64:
		ms = value.AsFloat64()
	case bson.TypeDateTime:
		ms = float64(value.DateTime())
	default:
		return time.Time{}, false
	}
	if math.IsNaN(ms) || ms < 0 || ms > farthest {
		return time.Time{}, false
	}
	if ms == 0 {
		return time.Time{}, true
	}
	return time.UnixMilli(int64(ms)).UTC(), true
}
