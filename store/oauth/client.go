package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/store"
)

// Client returns a client that adds the account's access token to each request, and when
// the provider answers 401 renews it and sends the request once more, if its body can be
// had again (GetBody); see Renew for a provider that goes on refusing. The token goes to
// the host that the request was made for, over https or to loopback, and not along when
// that one redirects elsewhere. base sends the requests; nil means http.DefaultTransport
// with a timeout of 30 seconds. A token is waited for that long too. Errors of Token come
// through, wrapped in *url.Error.
func (s *Source) Client(id store.AccountID, base *http.Client) *http.Client {
	client := &http.Client{Timeout: rest.DefaultTimeout}
	if base != nil {
		copied := *base
		client = &copied
	}
	client.Transport = &bearer{source: s, id: id, base: client.Transport}
	return client
}

// TokenSource returns the account's tokens for libraries that take an x/oauth2 source.
// Its tokens have no refresh token: only the Source may spend that. ctx bounds each call.
func (s *Source) TokenSource(ctx context.Context, id store.AccountID) oauth2.TokenSource {
	return tokenSource{ctx, s, id}
}

type tokenSource struct {
	ctx    context.Context // x/oauth2's interface takes none
	source *Source
	id     store.AccountID
}

// Token implements oauth2.TokenSource.
func (t tokenSource) Token() (*oauth2.Token, error) {
	token, err := t.source.Token(t.ctx, t.id)
	if err != nil {
		return nil, err
	}
	return ToOAuth2(token), nil
}

// bearer is the http.RoundTripper of Client.
type bearer struct {
	source *Source
	id     store.AccountID
	base   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if strayed(req) {
		return b.send(req)
	}
	if !address.Encrypted(req.URL) {
		closeBody(req.Body)
		return nil, fmt.Errorf("oauth: %s: the address is not https: %w", b.id, telemed.ErrInvalid)
	}
	token, err := b.token(req.Context(), telemed.Secret{})
	if err != nil {
		closeBody(req.Body)
		return nil, err
	}
	resp, err := b.send(authorized(req, token))
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	again, ok := rest.Rewind(req)
	if !ok {
		return resp, nil
	}
	renewed, err := b.token(req.Context(), token.Access)
	if errors.Is(err, errJustRenewed) { // the provider means something else by its 401
		closeBody(again.Body)
		return resp, nil
	}
	rest.Discard(resp)
	if err != nil {
		closeBody(again.Body)
		return nil, err
	}
	return b.send(authorized(again, renewed))
}

var errLate = fmt.Errorf("%w: there was no token in time", telemed.ErrUnavailable)

// token bounds the wait for a token: base may have its timeout in its transport, which
// only sees what is sent.
func (b *bearer) token(ctx context.Context, stale telemed.Secret) (store.Token, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, rest.DefaultTimeout, errLate)
	defer cancel()
	return b.source.token(ctx, b.id, stale)
}

func (b *bearer) send(req *http.Request) (*http.Response, error) {
	if b.base == nil {
		return http.DefaultTransport.RoundTrip(req)
	}
	return b.base.RoundTrip(req)
}

// strayed reports whether req follows a redirect to another host than the first
// request's.
func strayed(req *http.Request) bool {
	first := req
	for first.Response != nil {
		if first.Response.Request == nil { // a base that does not say: trust nobody
			return true
		}
		first = first.Response.Request
	}
	return first.URL.Scheme != req.URL.Scheme || first.URL.Host != req.URL.Host
}

func authorized(req *http.Request, token store.Token) *http.Request {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", scheme(token)+" "+token.Access.Reveal())
	return req
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}

// String tells whose client it is, without the subject.
func (b *bearer) String() string { return fmt.Sprintf("bearer of %s", b.id) }
