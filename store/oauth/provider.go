package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
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
	// Events makes the handler of the notices about grants that the server signs and sends to
	// this application: that a doctor has removed the app there. store/connect mounts it. If
	// nil, there is none.
	Events func(cfg EventsConfig) (http.Handler, error)
	// HTTPClient sends token requests. If nil, one with a timeout of 30 seconds. Requests
	// are never repeated by it.
	HTTPClient *http.Client
}

// EventsConfig is what a handler of Provider.Events stands on.
type EventsConfig struct {
	// Claims says which notices were heeded, in all processes of the application. Required.
	Claims store.Claims
	// Gone is called after an account was deleted because of a notice. Required.
	Gone func(ctx context.Context, id store.AccountID)
	// Logger hears of what is refused, and of what fails. Required.
	Logger *slog.Logger
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
		problems.Required(field.name, field.address)
		problems.Check(field.address == "" || address.Secure(field.address), field.name, "is not an https address (http is for loopback only)")
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
	answer, err := p.post(ctx, "Exchange", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {p.RedirectURL},
	})
	if err != nil {
		return store.Token{}, err
	}
	token := p.token(answer, begin)
	if p.Identify == nil {
		return token, nil
	}
	token.Account, err = p.Identify(ctx, token, answer.text("id_token"))
	if err != nil {
		return store.Token{}, fmt.Errorf("%s: Identify: %w", p.Name, err)
	}
	return token, nil
}

// Refresh buys the next token for old's refresh token, sending it once. What the answer
// leaves out is kept from old. ErrRejected means that the refresh token is dead,
// telemed.ErrUnauthorized that the application's credentials are refused,
// telemed.ErrUnavailable and telemed.ErrRateLimited that surely nothing happened, and
// telemed.ErrAmbiguous that the refresh token may be spent. A new refresh token that came
// without an access token is returned beside the error: it is the one that lives.
func (p Provider) Refresh(ctx context.Context, old store.Token) (store.Token, error) {
	if old.Refresh.IsZero() {
		return store.Token{}, fmt.Errorf("%s: Refresh: there is no refresh token: %w", p.Name, ErrRejected)
	}
	if err := p.checkStyle(); err != nil {
		return store.Token{}, err
	}
	begin := time.Now()
	answer, err := p.post(ctx, "Refresh", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh.Reveal()},
	})
	if err != nil && answer.refresh() == "" {
		return store.Token{}, err
	}
	return p.token(answer, begin).Inherit(old), err
}

func (p Provider) config() *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret.Reveal(), RedirectURL: p.RedirectURL, Scopes: p.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: p.AuthURL, TokenURL: p.TokenURL, AuthStyle: p.AuthStyle},
	}
}

// post sends a token request, once, and reads its answer, which carries a token if there
// is no error. With an error it may carry a refresh token alone.
func (p Provider) post(ctx context.Context, op string, form url.Values) (answer, error) {
	server := rest.Client{Base: p.TokenURL, HTTP: rest.HTTPClient(p.HTTPClient, rest.Transport{}), Header: http.Header{}}
	id, secret := p.ClientID, p.ClientSecret.Reveal()
	if p.AuthStyle == oauth2.AuthStyleInHeader {
		credentials := url.QueryEscape(id) + ":" + url.QueryEscape(secret) // RFC 6749 §2.3.1
		server.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)))
	} else {
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	}
	response, err := server.Do(rest.Once(ctx), rest.Request{Method: http.MethodPost, Form: form}, nil)
	failure := &rest.Error{}
	if err == nil {
		failure.Answer = *response
	} else {
		failure, _ = errors.AsType[*rest.Error](err)
	}
	got := readAnswer(append(failure.Body, failure.Part...))
	switch {
	case carriesToken(failure, got):
		return got, nil
	case carriesRefresh(failure, got):
		return got, failed(p.Name, op, failure)
	}
	return answer{}, failed(p.Name, op, failure)
}

// carriesToken reports whether an answer is believed to have the new token. A whole one
// with a good status is, whatever else it says. Without both, it must have a refresh
// token too, and no error code.
func carriesToken(response *rest.Error, got answer) bool {
	switch {
	case got.access() == "":
		return false
	case response.Status/100 == 2 && response.Body != nil:
		return true
	case response.Status/100 == 2:
		return got.refresh() != ""
	}
	return got.refresh() != "" && got.text("error") == "" && !got.foreign
}

// carriesRefresh reports whether a whole answer has a refresh token, if nothing else. The
// one that was spent for it is dead.
func carriesRefresh(response *rest.Error, got answer) bool {
	return response.Status/100 == 2 && response.Body != nil && got.refresh() != "" && got.text("error") == ""
}

// token makes the token of an answer. The expiry counts from before the request: a slow
// answer does not make a token live longer.
func (p Provider) token(a answer, begin time.Time) store.Token {
	token := store.Token{
		Access: telemed.NewSecret(a.access()), Refresh: telemed.NewSecret(a.refresh()),
		Type: fault.Word(strings.TrimSpace(a.text("token_type"))), Expiry: millis(begin.Add(a.life())), Scopes: a.scopes(),
	}
	for _, name := range p.ExtraFields {
		if value := a.small(name); value != "" {
			if token.Extra == nil {
				token.Extra = map[string]string{}
			}
			token.Extra[name] = value
		}
	}
	return token
}
