package googlemeet

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// issuer is who signs Google's id tokens, and the iss of its callbacks.
const issuer = "https://accounts.google.com"

// OAuth returns the description of Google's authorization server for store/connect. It
// asks for a refresh token and for the consent page each time, because Google sends a
// refresh token only with that. See
// https://developers.google.com/identity/protocols/oauth2/web-server.
func (c *Client) OAuth() oauth.Provider { return c.oauth }

func (c *Client) newProvider() oauth.Provider {
	return oauth.Provider{
		Name: ProviderName, Issuer: issuer,
		ClientID: c.cfg.ClientID, ClientSecret: c.cfg.ClientSecret, RedirectURL: c.cfg.RedirectURL,
		AuthURL: c.cfg.Endpoints.Authorize, TokenURL: c.cfg.Endpoints.Token,
		AuthStyle:  oauth2.AuthStyleInParams,
		Scopes:     c.cfg.Scopes,
		Required:   []string{c.cfg.calendarScope()},
		AuthParams: map[string]string{"access_type": "offline", "prompt": "consent"},
		Identify:   c.identify,
		Revoke:     c.revoke,
		HTTPClient: c.cfg.HTTPClient,
	}
}

// identify reads whose account it is. The id token comes from the token endpoint itself,
// over TLS, so its signature is not needed (OpenID Connect Core 3.1.3.7).
func (c *Client) identify(_ context.Context, _ store.Token, idToken string) (store.Account, error) {
	if idToken == "" { // openid was not asked for
		return store.Account{}, nil
	}
	claims, err := decodeIDToken(idToken)
	if err != nil {
		return store.Account{}, err
	}
	if err := claims.check(c.cfg.ClientID, time.Now()); err != nil {
		return store.Account{}, err
	}
	return store.Account{ID: claims.Subject, Email: claims.Email}, nil
}

// idClaims are the claims of an id token that are looked at. See
// https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload.
type idClaims struct {
	Issuer   string   `json:"iss"`
	Audience audience `json:"aud"`
	Subject  string   `json:"sub"`
	Email    string   `json:"email"`
	Expiry   float64  `json:"exp"`
}

// audience is one text, or a list of them (RFC 7519 §4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

const maxIDToken = 16 << 10

// decodeIDToken never quotes the token in its error.
func decodeIDToken(token string) (idClaims, error) {
	var claims idClaims
	parts := strings.Split(token, ".")
	if len(token) > maxIDToken || len(parts) != 3 {
		return claims, errors.New("id token is not a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return claims, errors.New("id token cannot be read")
	}
	return claims, nil
}

// clockSkew is how far the clocks of Google and this machine may be apart.
const clockSkew = time.Minute

func (i idClaims) check(clientID string, now time.Time) error {
	switch {
	case i.Issuer != issuer && i.Issuer != "accounts.google.com":
		return errors.New("id token is not Google's")
	case !slices.Equal(i.Audience, audience{clientID}):
		return errors.New("id token is for another application")
	case i.Expiry <= float64(now.Add(-clockSkew).Unix()):
		return errors.New("id token has expired")
	case i.Subject == "" || len(i.Subject) > 255:
		return errors.New("id token names no account")
	}
	return nil
}

// revoke withdraws everything that the doctor granted to this application, not just one
// token.
func (c *Client) revoke(ctx context.Context, token store.Token) error {
	secret := token.Refresh
	if secret.IsZero() {
		secret = token.Access
	}
	api := rest.Client{Base: c.cfg.Endpoints.Revoke, HTTP: rest.HTTPClient(c.cfg.HTTPClient, rest.Transport{MinWait: c.cfg.RetryWait})}
	_, err := api.Do(rest.Repeatable(ctx), rest.Request{
		Method: http.MethodPost, Form: url.Values{"token": {secret.Reveal()}},
	}, nil)
	if err == nil {
		return nil
	}
	failed := newError("Revoke", err)
	// There is no such grant any more, in Google's own words. See
	// https://developers.google.com/identity/protocols/oauth2/web-server#tokenrevoke.
	if failed.Status == http.StatusBadRequest && (failed.Reason == "invalid_token" || failed.Reason == "invalid_grant") {
		return nil
	}
	return failed
}
