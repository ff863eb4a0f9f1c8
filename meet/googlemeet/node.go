package googlemeet

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// maxCredentials bounds a credentials document; real ones have some 2 kB.
const maxCredentials = 64 << 10

// ParseNodeCredentials reads what Google's library for Node.js keeps of a consent, so
// that doctors who connected with a Node backend stay connected:
//
//	{"access_token":"…","refresh_token":"…","scope":"…","token_type":"Bearer","expiry_date":1772361000000}
//
// The expiry is in milliseconds since 1970. If it is missing, the token is refreshed
// before use. A document without a refresh token is refused: its access token is dead
// within the hour. Pass the token to store.Set. Errors never quote the document.
func ParseNodeCredentials(data []byte) (store.Token, error) {
	var doc struct {
		Access  string   `json:"access_token"`
		Refresh string   `json:"refresh_token"`
		Scope   string   `json:"scope"`
		Type    string   `json:"token_type"`
		Expiry  *float64 `json:"expiry_date"`
	}
	if len(data) > maxCredentials {
		return store.Token{}, errors.New("googlemeet: credentials: document is longer than 64 kB")
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return store.Token{}, notCredentials(err)
	}
	switch {
	case doc.Refresh == "":
		return store.Token{}, errors.New("googlemeet: credentials: there is no refresh_token: the doctor must connect again")
	case strings.ContainsFunc(doc.Refresh+doc.Access+doc.Type, unfit):
		return store.Token{}, errors.New("googlemeet: credentials: a token has characters that no token has")
	case doc.Type != "" && !strings.EqualFold(doc.Type, "bearer"):
		return store.Token{}, errors.New("googlemeet: credentials: token_type is not Bearer")
	}
	expiry, err := nodeExpiry(doc.Expiry)
	if err != nil {
		return store.Token{}, err
	}
	return store.Token{
		Access: telemed.NewSecret(doc.Access), Refresh: telemed.NewSecret(doc.Refresh), Type: doc.Type,
		Expiry: expiry, Scopes: strings.Fields(doc.Scope),
	}, nil
}

// notCredentials names the field of a wrong type, and nothing that it holds.
func notCredentials(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return errors.New("googlemeet: credentials: " + wrong.Field + " has the wrong type")
	}
	return errors.New("googlemeet: credentials: not a JSON object")
}

// unfit finds what cannot stand in a header.
func unfit(r rune) bool { return r <= ' ' || r > '~' }

func nodeExpiry(millis *float64) (time.Time, error) {
	const end = 253402300800000 // the year 10000
	switch {
	case millis == nil || *millis == 0:
		return time.Time{}, nil
	case *millis < 0 || *millis >= end || math.IsNaN(*millis):
		return time.Time{}, errors.New("googlemeet: credentials: expiry_date is not milliseconds since 1970")
	case *millis < 1e11: // 1973 in milliseconds, the year 5138 in seconds
		return time.Time{}, errors.New("googlemeet: credentials: expiry_date looks like seconds; it is milliseconds since 1970")
	}
	return time.UnixMilli(int64(*millis)).UTC(), nil
}
