package connect

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// ServeHTTP takes what a pattern with {provider} and {action} matches, such as
// "/api/auth/{provider}/doctor/{action}". The actions are
//
//   - connect, by GET or POST: it sends the logged-in doctor's browser to the provider. The
//     query may have return_to, a path of the ReturnURL's site where the flow is to end
//     instead. 401 if nobody is logged in, 400 for a return_to that leaves the site. 403
//     unless the application's own page begins the flow: by a link of this site, or by a
//     form of this origin or the ReturnURL's. Links in frames and on other sites,
//     prefetches, and a single sign-on that redirects here are refused; let the latter end
//     at a page of the application first.
//   - callback, by GET, where the provider sends the browser back to. It always ends at the
//     application's page, with provider=NAME&success=true, or success=false and the reason.
//   - status, by GET: the logged-in doctor's [State] in JSON.
//   - disconnect, by POST, which forgets the logged-in doctor's account; see Forget. Posts
//     from other sites than this and ReturnURL's are refused. It answers JSON,
//     {"provider":"zoom","connected":false,"revoked":true}, or, to a form of a page, a
//     redirect to ReturnURL.
//   - events, by POST: notices that the provider has signed, if Provider.Events takes them.
//
// Anything else is 404. An application whose routes have another form sets the two values
// with r.SetPathValue.
func (c *Connector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if at, ok := c.routes[r.PathValue("provider")]; ok {
		if action, ok := at.actions[r.PathValue("action")]; ok {
			action.ServeHTTP(w, r)
			return
		}
	}
	notFound.ServeHTTP(w, r)
}

var notFound = inbound.Handler(http.NotFoundHandler())

// setActions makes the handlers of the provider's route.
func (c *route) setActions() error {
	c.actions = map[string]http.Handler{
		"connect":    inbound.Handler(http.HandlerFunc(c.connect)),
		"callback":   inbound.Handler(http.HandlerFunc(c.callback)),
		"status":     inbound.Handler(http.HandlerFunc(c.status)),
		"disconnect": inbound.Handler(c.guard.Handler(http.HandlerFunc(c.disconnect))),
	}
	if c.provider.Events == nil {
		return nil
	}
	events, err := c.provider.Events(oauth.EventsConfig{
		Claims: eventClaims{c.cfg.Claims}, Gone: c.gone, Logger: c.cfg.Logger,
	})
	if err == nil {
		c.actions["events"] = events
	}
	return err
}

// gone hears that the provider's notice had an account deleted.
func (c *route) gone(ctx context.Context, id store.AccountID) {
	if c.cfg.OnDisconnect != nil {
		c.cfg.OnDisconnect(ctx, id)
	}
}

// eventClaims are apart from those of a webhook of the application's own, to which the
// provider may send the same notice.
type eventClaims struct{ store.Claims }

const eventPrefix = "connect:events:"

func (c eventClaims) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	return c.Claims.Claim(ctx, eventPrefix+key, lease)
}

func (c eventClaims) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	return c.Claims.Complete(ctx, eventPrefix+key, token, value, keep)
}

func (c eventClaims) Release(ctx context.Context, key, token string) error {
	return c.Claims.Release(ctx, eventPrefix+key, token)
}

// warnElsewhere tells of a RedirectURL that leads to another route than this one's callback:
// the doctor would consent, and end at a page that is not there. A prefix that a proxy has
// stripped is no difference.
func (c *route) warnElsewhere(r *http.Request) {
	redirect, err := url.Parse(c.provider.RedirectURL)
	if err != nil || !strings.Contains(r.Pattern, "{action}") {
		return
	}
	if here := strings.TrimSuffix(r.URL.Path, "connect") + "callback"; !strings.HasSuffix(redirect.Path, here) {
		c.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "connect: RedirectURL is not the callback of this route",
			slog.String("provider", c.provider.Name), slog.String("redirect_path", redirect.Path))
	}
}
