package zoom

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// apiURLField is what Zoom calls the address of the account's region in a token answer.
const apiURLField = "api_url"

func (c *Client) oauth() oauth.Provider {
	provider := oauth.Provider{
		Name:     ProviderName,
		ClientID: c.cfg.ClientID, ClientSecret: c.cfg.ClientSecret, RedirectURL: c.cfg.RedirectURL,
		AuthURL: c.cfg.Endpoints.Authorize, TokenURL: c.cfg.Endpoints.Token,
		AuthStyle:   oauth2.AuthStyleInHeader,
		Scopes:      c.cfg.Scopes,
		ExtraFields: []string{apiURLField},
		Identify:    c.identify,
		Revoke:      c.revoke,
		HTTPClient:  c.cfg.HTTPClient,
	}
	if len(c.cfg.WebhookSecrets) > 0 {
		provider.Events = c.events
	}
	return provider
}

// identify asks whose token it is. Account.ID is Zoom's user id, which app_deauthorized
// events name.
func (c *Client) identify(ctx context.Context, token store.Token, _ string) (store.Account, error) {
	api := c.api(token, c.http)
	api.Header.Set("Authorization", "Bearer "+token.Access.Reveal())
	var me struct {
		ID    string `json:"id"`
		Email string `json:"email"`
	}
	if _, err := api.Do(ctx, rest.Request{Path: "/users/me"}, &me); err != nil {
		return store.Account{}, newError("GetUser", err)
	}
	if me.ID == "" {
		return store.Account{}, &Error{Op: "GetUser", kind: telemed.ErrUnavailable, err: errors.New("the answer names no user")}
	}
	return store.Account{ID: me.ID, Email: me.Email}, nil
}

// revoke withdraws the grant by its access token, which must be a live one: an expired
// token is renewed for that.
func (c *Client) revoke(ctx context.Context, token store.Token) error {
	if !token.Expiry.IsZero() && time.Now().After(token.Expiry) {
		renewed, err := c.provider.Refresh(ctx, token)
		switch {
		case errors.Is(err, oauth.ErrRejected):
			return nil // gone already
		case err != nil:
			return err
		}
		token = renewed
	}
	credentials := c.cfg.ClientID + ":" + c.cfg.ClientSecret.Reveal()
	header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))}}
	server := rest.Client{Base: c.cfg.Endpoints.Revoke, HTTP: c.http, Header: header}
	form := url.Values{"token": {token.Access.Reveal()}}
	_, err := server.Do(rest.Repeatable(ctx), rest.Request{Method: http.MethodPost, Form: form}, nil)
	if err != nil && !withdrawn(err) {
		return newError("Revoke", err)
	}
	return nil
}

// withdrawn reports whether Zoom says that the token means nothing any more.
func withdrawn(err error) bool {
	answer, _ := errors.AsType[*rest.Error](err)
	if answer.Status/100 != 4 {
		return false
	}
	code := readFailure(answer.Body).OAuth
	return code == "invalid_token" || code == "invalid_grant"
}

// api returns a client of Zoom's API for the token's account, without authorization.
func (c *Client) api(token store.Token, client *http.Client) rest.Client {
	return rest.Client{
		Base: regionalAPI(c.cfg.Endpoints.API, token.Extra[apiURLField]), HTTP: client,
		Header: http.Header{"User-Agent": {"telemed"}},
	}
}

// regionalAPI returns the API's base in the account's region. A stored token must not be
// able to send bearer tokens elsewhere: an address outside the configured API's own
// domain is ignored.
func regionalAPI(configured, regional string) string {
	ours, err := url.Parse(configured)
	if err != nil {
		return configured
	}
	theirs, err := url.Parse(regional)
	if err != nil || theirs.User != nil || strings.Trim(theirs.Path, "/") != "" || theirs.RawQuery != "" || theirs.Fragment != "" {
		return configured
	}
	if theirs.Scheme != "https" || theirs.Port() != "" {
		return configured
	}
	for _, domain := range []string{"zoom.us", "zoomgov.com"} {
		if within(ours.Hostname(), domain) && within(theirs.Hostname(), domain) {
			return "https://" + theirs.Host + ours.Path
		}
	}
	return configured
}

func within(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}
