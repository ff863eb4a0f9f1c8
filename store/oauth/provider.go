package oauth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/store"
)

// Provider describes an OAuth 2.0 authorization server and this application at it.
// The leaves build one (zoom.Client.OAuth, googlemeet.Client.OAuth); store/connect
// sends doctors through it, and a [Source] refreshes with it. A Provider is a value:
// its fields must not change once it is in use; then it is safe for concurrent use.
type Provider struct {
	// Name is the Provider of the AccountIDs: "google", "zoom". Required.
	Name string
	// ClientID, ClientSecret and RedirectURL are this application's. Required.
	ClientID     string
	ClientSecret telemed.Secret
	RedirectURL  string
	// AuthURL and TokenURL are the server's endpoints. Required.
	AuthURL, TokenURL string
	// AuthStyle is how the client authenticates: oauth2.AuthStyleInParams or
	// oauth2.AuthStyleInHeader. Required: guessing it posts a refresh token twice, and
	// one that can be spent once is lost by that.
	AuthStyle oauth2.AuthStyle
	// Scopes are asked for.
	Scopes []string
	// Required are the scopes without which a consent is not stored. If nil, Scopes. Empty,
	// not nil: none.
	Required []string
	// AuthParams are added to the authorization URL, for instance access_type=offline.
	AuthParams map[string]string
	// Issuer is compared with the iss parameter of a callback, if there is one (RFC 9207).
	Issuer string
	// RequireIssuer refuses a callback without iss.
	RequireIssuer bool
	// ExtraFields are those of the token answer that are kept in Token.Extra.
	ExtraFields []string
	// Identify tells whose account a new token is. idToken is the answer's id_token,
	// if any. If nil, accounts stay unknown.
	Identify func(ctx context.Context, token store.Token, idToken string) (store.Account, error)
	// Revoke withdraws the grant at the provider. A grant that is gone already is no error.
	// If nil, nothing is withdrawn.
	Revoke func(ctx context.Context, token store.Token) error
	// HTTPClient sends token requests. If nil, one with a timeout of 30 seconds. Requests
	// are never repeated by it.
	HTTPClient *http.Client
}

// Validate names everything that is wrong with p. The error matches telemed.ErrInvalid.
func (p Provider) Validate() error {
	var problems fault.Problems
	problems.Check(validProvider(p.Name), "Name", "is not 1 to 64 characters of a-z, 0-9, _ and -")
	problems.Required("ClientID", p.ClientID)
	problems.Check(!p.ClientSecret.IsZero(), "ClientSecret", "is required")
	for _, field := range []struct{ name, address string }{
		{"RedirectURL", p.RedirectURL}, {"AuthURL", p.AuthURL}, {"TokenURL", p.TokenURL},
	} {
		problems.Check(address.Secure(field.address), field.name, "is not an https address (http is for loopback only)")
	}
	problems.Check(p.styled(), "AuthStyle", "must be InParams or InHeader")
	return problems.Err("oauth: provider")
}

func (p Provider) styled() bool {
	return p.AuthStyle == oauth2.AuthStyleInParams || p.AuthStyle == oauth2.AuthStyleInHeader
}

// checkStyle keeps a Provider that nobody validated from having x/oauth2 guess.
func (p Provider) checkStyle() error {
	if p.styled() {
		return nil
	}
	return fault.Invalid("oauth: provider", "AuthStyle", "must be InParams or InHeader")
}

// NewSource returns a Source of p's tokens in st. If log is nil, nothing is logged.
func (p Provider) NewSource(st store.TokenStore, tuning Tuning, log *slog.Logger) (*Source, error) {
	revoke := func(ctx context.Context, id store.AccountID, token store.Token) error {
		_, err := p.Withdraw(ctx, st, id, token)
		return err
	}
	return NewSource(SourceConfig{
		Store: st, Provider: p.Name, Refresh: p.Refresh, Revoke: revoke, Tuning: tuning, Logger: log,
	})
}

// RequiredScopes returns the scopes without which a consent is worth nothing.
func (p Provider) RequiredScopes() []string {
	if p.Required != nil {
		return p.Required
	}
	return p.Scopes
}

// AuthCodeURL returns where to send the doctor's browser. verifier is the PKCE
// verifier (RFC 7636), of which only the S256 challenge goes into the address.
func (p Provider) AuthCodeURL(state, verifier string) string {
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier)}
	for name, value := range p.AuthParams {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	return p.config().AuthCodeURL(state, options...)
}

// Exchange buys a token for the code of a callback. The code is sent once. Errors are
// those of Refresh; ErrRejected means that the code is spent, expired or another flow's.
func (p Provider) Exchange(ctx context.Context, code, verifier string) (store.Token, error) {
	if err := p.checkStyle(); err != nil {
		return store.Token{}, err
	}
	begin := time.Now()
	answer, err := p.config().Exchange(p.context(ctx), code, oauth2.VerifierOption(verifier))
	if err != nil {
		return store.Token{}, failed(p.Name, "Exchange", err)
	}
	token := p.token(answer, begin)
	if p.Identify == nil {
		return token, nil
	}
	idToken, _ := answer.Extra("id_token").(string)
	token.Account, err = p.Identify(ctx, token, idToken)
	if err != nil {
		return store.Token{}, fmt.Errorf("%s: Identify: %w", p.Name, err)
	}
	return token, nil
}

// Refresh buys the next token for old's refresh token, sending it once. What the
// answer leaves out is kept from old. ErrRejected means that the refresh token is
// dead, telemed.ErrUnauthorized that the application's credentials are refused,
// telemed.ErrUnavailable and telemed.ErrRateLimited that surely nothing happened, and
// telemed.ErrAmbiguous that the refresh token may be spent.
func (p Provider) Refresh(ctx context.Context, old store.Token) (store.Token, error) {
	if old.Refresh.IsZero() {
		return store.Token{}, fmt.Errorf("%s: Refresh: there is no refresh token: %w", p.Name, ErrRejected)
	}
	if err := p.checkStyle(); err != nil {
		return store.Token{}, err
	}
	begin := time.Now()
	source := p.config().TokenSource(p.context(ctx), &oauth2.Token{RefreshToken: old.Refresh.Reveal()})
	answer, err := source.Token()
	if err != nil {
		return store.Token{}, failed(p.Name, "Refresh", err)
	}
	return p.token(answer, begin).Inherit(old), nil
}

func (p Provider) config() *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret.Reveal(), RedirectURL: p.RedirectURL, Scopes: p.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: p.AuthURL, TokenURL: p.TokenURL, AuthStyle: p.AuthStyle},
	}
}

func (p Provider) context(ctx context.Context) context.Context {
	client := rest.HTTPClient(p.HTTPClient, rest.Transport{})
	client.Transport = jsonAnswers{client.Transport}
	return context.WithValue(rest.Once(ctx), oauth2.HTTPClient, client)
}

const (
	// assumedLife is how long a token lives whose answer does not say so. Without an
	// assumption it would be refreshed before each use.
	assumedLife = time.Hour
	// longestLife is what is believed of an answer that says more.
	longestLife = 366 * 24 * time.Hour
)

// token reads an answer. The expiry counts from before the request: a slow answer
// does not make a token live longer.
func (p Provider) token(answer *oauth2.Token, begin time.Time) store.Token {
	token := FromOAuth2(answer)
	if answer.ExpiresIn > 0 {
		token.Expiry = begin.Add(time.Duration(answer.ExpiresIn) * time.Second)
	}
	if !token.Expiry.After(begin) {
		token.Expiry = begin.Add(assumedLife)
	}
	if limit := begin.Add(longestLife); token.Expiry.After(limit) {
		token.Expiry = limit
	}
	token.Expiry = millis(token.Expiry)
	for _, name := range p.ExtraFields {
		if value, ok := answer.Extra(name).(string); ok && value != "" {
			if token.Extra == nil {
				token.Extra = map[string]string{}
			}
			token.Extra[name] = value
		}
	}
	return token
}
