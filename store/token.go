package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// Token is an OAuth 2.0 token and what came beside it.
type Token struct {
	// Access is sent to the provider's API.
	Access telemed.Secret
	// Refresh buys the next Access. With Zoom it can be spent once. Empty for tokens that
	// are minted anew.
	Refresh telemed.Secret
	// Type is the scheme of the Authorization header; empty means "Bearer".
	Type string
	// Expiry is when Access stops working. Zero means that nobody knows: a Source
	// refreshes such a token before each use. Provider answers always have one.
	Expiry time.Time
	// Scopes are those that were granted. In an answer, nil means that it does not say, and
	// empty that none was.
	Scopes []string
	// Account is who granted them, as the provider names them.
	Account Account
	// Extra is what came beside the token and is needed with it, for instance Zoom's
	// "api_url".
	Extra map[string]string
}

// Account is the provider's account behind a token.
type Account struct {
	// ID is the provider's stable id of the account; empty if it was not asked for.
	ID string
	// Email is the account's address, for the settings page. May be empty.
	Email string
}

// LogValue tells whether the account is known.
func (a Account) LogValue() slog.Value { return slog.GroupValue(slog.Bool("known", a.ID != "")) }

// Format tells the same for every verb.
func (a Account) Format(f fmt.State, _ rune) { redact.Format(f, a) }

// MarshalJSON hides both: JSON of a whole token is for logs. EncodeToken is for stores.
func (a Account) MarshalJSON() ([]byte, error) { return []byte(`"` + telemed.Redacted + `"`), nil }

// HasScope reports whether scope was granted. Scopes are compared whole.
func (t Token) HasScope(scope string) bool { return slices.Contains(t.Scopes, scope) }

// LogValue tells the expiry and whether there is a refresh token.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(slog.Time("expiry", t.Expiry), slog.Bool("refresh", !t.Refresh.IsZero()))
}

// Format tells the same for every verb.
func (t Token) Format(f fmt.State, _ rune) { redact.Format(f, t) }

// Same reports whether both are the outcome of the same exchange.
func (t Token) Same(other Token) bool {
	return t.Access.Equal(other.Access) && t.Refresh.Equal(other.Refresh)
}

// Inherit returns t, the answer to a refresh or a new consent, completed with what old
// has and the answer left out.
func (t Token) Inherit(old Token) Token {
	if t.Refresh.IsZero() {
		t.Refresh = old.Refresh
	}
	if t.Scopes == nil {
		t.Scopes = old.Scopes
	}
	if t.Account.ID == "" {
		t.Account = old.Account
	}
	if len(old.Extra) > 0 {
		extra := maps.Clone(old.Extra)
		maps.Copy(extra, t.Extra)
		t.Extra = extra
	}
	return t
}

// Clone returns a copy that shares nothing that can be changed.
func (t Token) Clone() Token {
	t.Scopes = slices.Clone(t.Scopes)
	t.Extra = maps.Clone(t.Extra)
	return t
}

// MaxToken is the longest token that is kept, in bytes as EncodeToken returns them. The
// longest seen have some 4 kB. A token that [Sealed] hands to the store behind it may be
// half as long again.
const MaxToken = 64 << 10

// maxSealedToken has room for MaxToken bytes and 8 kB of an AEAD's own, in base64.
const maxSealedToken = MaxToken * 3 / 2

// sealedType marks a record whose token is sealed. The ciphertext is its Access.
const sealedType = "sealed.v1"

func maxToken(t Token) int {
	if t.Type == sealedType {
		return maxSealedToken
	}
	return MaxToken
}

// wireToken is the form in which a token is written down. Fields may be added.
type wireToken struct {
	Version int               `json:"v"`
	Access  string            `json:"access,omitempty"`
	Refresh string            `json:"refresh,omitempty"`
	Type    string            `json:"type,omitempty"`
	Expiry  int64             `json:"expiry,omitempty"` // Unix milliseconds
	Scopes  []string          `json:"scopes,omitempty"`
	ID      string            `json:"account_id,omitempty"`
	Email   string            `json:"account_email,omitempty"`
	Extra   map[string]string `json:"extra,omitempty"`
}

// EncodeToken returns the bytes that a store writes down, with the secrets in clear. The
// expiry is kept in milliseconds. An error that matches telemed.ErrInvalid means that the
// token is longer than MaxToken, or no text: JSON would change it silently.
func EncodeToken(t Token) ([]byte, error) {
	data, problem := encodeToken(t)
	if problem != "" {
		return nil, fault.Invalid("store", "Token", "%s", problem)
	}
	return data, nil
}

// encodeToken says what is wrong with the token, or "".
func encodeToken(t Token) (data []byte, problem string) {
	if !utf8.ValidString(t.Access.Reveal()) || !utf8.ValidString(t.Refresh.Reveal()) {
		return nil, "is not UTF-8"
	}
	wire := wireToken{
		Version: 1, Access: t.Access.Reveal(), Refresh: t.Refresh.Reveal(), Type: t.Type,
		Scopes: t.Scopes, ID: t.Account.ID, Email: t.Account.Email, Extra: t.Extra,
	}
	if !t.Expiry.IsZero() {
		wire.Expiry = t.Expiry.UnixMilli()
	}
	data, err := json.Marshal(wire)
	if err != nil {
		return nil, "cannot be encoded"
	}
	if len(data) > maxToken(t) {
		return nil, fmt.Sprintf("is longer than %d bytes", maxToken(t))
	}
	return data, ""
}

// DecodeToken reverses EncodeToken. Its error never quotes data.
func DecodeToken(data []byte) (Token, error) {
	var wire wireToken
	if len(data) > maxSealedToken || json.Unmarshal(data, &wire) != nil || wire.Version != 1 {
		return Token{}, errNoToken
	}
	t := Token{
		Access: telemed.NewSecret(wire.Access), Refresh: telemed.NewSecret(wire.Refresh), Type: wire.Type,
		Scopes: wire.Scopes, Account: Account{ID: wire.ID, Email: wire.Email}, Extra: wire.Extra,
	}
	if wire.Expiry != 0 {
		t.Expiry = time.UnixMilli(wire.Expiry).UTC()
	}
	if len(data) > maxToken(t) {
		return Token{}, errNoToken
	}
	return t, nil
}

var errNoToken = errors.New("store: these bytes are not a token")
