package connect

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store"
)

// Result is how a flow ended.
type Result struct {
	// ID is whose account was connected.
	ID store.AccountID
	// Account is which one, as far as the provider tells.
	Account store.Account
	// ReturnTo is the path that Begin was given, also if the flow failed.
	ReturnTo string
}

// callback is the action that ends a flow.
func (c *route) callback(w http.ResponseWriter, r *http.Request) {
	private(w)
	if r.Method != http.MethodGet {
		methodNotAllowed(w, "GET")
		return
	}
	result, err := c.finish(w, r)
	if err != nil {
		reason := reasonOf(err)
		c.cfg.Logger.LogAttrs(r.Context(), reason.level(), "connect: flow failed",
			slog.String("provider", c.provider.Name), slog.String("reason", string(reason)), slog.Any("error", err))
	}
	http.Redirect(w, r, c.page(result.ReturnTo, err), http.StatusSeeOther)
}

// page returns the application's address where the flow ends.
func (c *route) page(returnTo string, err error) string {
	target := *c.returnTo
	if returnTo != "" {
		if path, parseErr := url.Parse(returnTo); parseErr == nil {
			target.Path, target.RawPath, target.RawQuery = path.Path, path.RawPath, path.RawQuery
		}
	}
	query := target.Query()
	query.Set("provider", c.provider.Name)
	query.Set("success", "true")
	query.Del("reason") // that of an earlier flow, if the doctor came from such a page
	if err != nil {
		query.Set("success", "false")
		query.Set("reason", string(reasonOf(err)))
	}
	target.RawQuery = query.Encode()
	return target.String()
}

// Finish ends the flow that r, the callback of a provider, belongs to: it checks it, buys
// the token and stores it. The provider is given by its name, by the application's own
// route and not by anything in r. The flow's cookie is cleared on w whatever happens, and
// the answer kept out of caches and its address out of the Referer header. The error is a
// *FlowError, or matches telemed.ErrInvalid if there is no such provider.
func (c *Connector) Finish(w http.ResponseWriter, r *http.Request, provider string) (Result, error) {
	private(w)
	at, err := c.at(provider)
	if err != nil {
		return Result{}, err
	}
	return at.finish(w, r)
}

func (c *route) finish(w http.ResponseWriter, r *http.Request) (Result, error) {
	query := r.URL.Query()
	f, err := c.recognise(w, r, query)
	if err != nil {
		return Result{ReturnTo: f.ReturnTo}, err
	}
	result := Result{ID: c.accountID(f.Subject), ReturnTo: f.ReturnTo}
	code, err := c.accept(r, f, query)
	if err != nil {
		return result, err
	}
	ctx := context.WithoutCancel(r.Context()) // the code is spent if the browser hangs up now
	token, err := c.buy(ctx, code, f)
	if err != nil {
		return result, err
	}
	result.Account = token.Account
	if err := c.keep(ctx, result.ID, token); err != nil {
		return result, err
	}
	if c.cfg.OnConnect != nil {
		c.cfg.OnConnect(ctx, result.ID, result.Account)
	}
	return result, nil
}

// recognise finds the flow that this browser began.
func (c *route) recognise(w http.ResponseWriter, r *http.Request, query url.Values) (flow, error) {
	if len(query["state"]) != 1 || query.Get("state") == "" {
		return flow{}, &FlowError{Reason: ReasonInvalid}
	}
	state := query.Get("state")
	name := c.cookieName(state)
	cookie, err := r.Cookie(name)
	if err != nil {
		return flow{}, &FlowError{Reason: ReasonExpired}
	}
	http.SetCookie(w, c.cookie(name, "", 0))
	f, ok := c.open(name, cookie.Value)
	if !ok || f.Provider != c.provider.Name || subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) != 1 {
		return flow{}, &FlowError{Reason: ReasonExpired}
	}
	if time.Now().Unix() >= f.Expires {
		return flow{ReturnTo: f.ReturnTo}, &FlowError{Reason: ReasonExpired}
	}
	return f, nil
}

// accept checks the callback of a recognised flow and returns its code.
func (c *route) accept(r *http.Request, f flow, query url.Values) (string, error) {
	subject, err := c.subject(r)
	if err != nil {
		return "", err
	}
	if subject != f.Subject {
		return "", &FlowError{Reason: ReasonOtherLogin}
	}
	if !c.issuerFits(query["iss"]) {
		return "", &FlowError{Reason: ReasonInvalid}
	}
	if err := c.once(context.WithoutCancel(r.Context()), f); err != nil {
		return "", err
	}
	switch {
	case query.Get("error") == "access_denied":
		return "", &FlowError{Reason: ReasonDenied}
	case query.Has("error"):
		return "", &FlowError{Reason: ReasonProvider}
	case len(query["code"]) != 1 || query.Get("code") == "":
		return "", &FlowError{Reason: ReasonInvalid}
	}
	return query.Get("code"), nil
}

// issuerFits implements RFC 9207: an iss that is there must be ours. Google sends one
// without saying so in its metadata; Zoom sends none.
func (c *route) issuerFits(iss []string) bool {
	switch {
	case len(iss) == 0:
		return !c.provider.RequireIssuer
	case len(iss) > 1:
		return false
	}
	return c.provider.Issuer == "" || iss[0] == c.provider.Issuer
}

// buy exchanges the code and checks what was granted.
func (c *route) buy(ctx context.Context, code string, f flow) (store.Token, error) {
	ctx, cancel := wait.Timeout(ctx, exchangeTime)
	defer cancel()
	token, err := c.provider.Exchange(ctx, code, f.Verifier)
	if err != nil {
		reason := ReasonProvider
		if errors.Is(err, telemed.ErrUnauthorized) {
			reason = ReasonConfig
		}
		return token, &FlowError{Reason: reason, Err: err}
	}
	if token.Scopes == nil { // RFC 6749 §5.1: left out if it is what was asked for
		token.Scopes = slices.Clone(c.provider.Scopes)
	}
	for _, scope := range c.provider.RequiredScopes() {
		if !token.HasScope(scope) {
			return token, &FlowError{Reason: ReasonScope}
		}
	}
	return token, nil
}

// keep stores the token, if it is one that lasts. It has time of its own: however long
// the provider took, a token that was bought must not be lost.
func (c *route) keep(ctx context.Context, id store.AccountID, token store.Token) error {
	ctx, cancel := wait.Timeout(ctx, storeTime)
	defer cancel()
	if token.Refresh.IsZero() {
		old, err := c.cfg.Tokens.Get(ctx, id)
		switch {
		case errors.Is(err, telemed.ErrNotFound):
			return &FlowError{Reason: ReasonNoRefresh}
		case err != nil:
			return &FlowError{Reason: ReasonStore, Err: err}
		case old.Status == store.StatusReconnect:
			return &FlowError{Reason: ReasonNoRefresh} // the old refresh token is dead
		case old.Token.Refresh.IsZero() || old.Token.Account.ID != token.Account.ID || token.Account.ID == "":
			// Another account's refresh token must not be paired with this one.
			return &FlowError{Reason: ReasonNoRefresh}
		}
	}
	if err := store.Set(ctx, c.cfg.Tokens, id, token); err != nil {
		return &FlowError{Reason: ReasonStore, Err: err}
	}
	return nil
}
