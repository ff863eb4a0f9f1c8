package visit

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
)

// Payments handles what comes of payments, for a pattern with {action}, and {tenant} where
// there are several clinics: Callback and PaymentWebhook. Any other action is 404.
func (v *Visits) Payments() http.Handler {
	callback, webhook := v.Callback(), v.PaymentWebhook()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.PathValue("action") {
		case "callback":
			callback.ServeHTTP(w, r)
		case "webhook":
			webhook.ServeHTTP(w, r)
		default:
			inbound.Bound(w, r)
			http.NotFound(w, r)
		}
	})
}

// settleFor is how long a browser waits that comes back from the payment page.
const settleFor = 10 * time.Second

// Callback handles the browser that comes back from the payment page: it has the gateway
// asked at once, and answers 303 to Config.ReturnURL with visit=ID&status=STATUS, or, to a
// script that accepts application/json, what Visit.MarshalJSON writes. The status is
// "unpaid" if the page ended without a payment, and "checking" if the gateway cannot be
// asked now: then it is asked later, and the page asks again. A callback that is not signed
// is 400.
func (v *Visits) Callback() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			inbound.Bound(w, r)
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		gateway := v.gatewayOf(r)
		if gateway == nil {
			inbound.Bound(w, r)
			http.NotFound(w, r)
			return
		}
		confirmed, err := gateway.ParseCallback(w, r)
		switch {
		case errors.Is(err, payments.ErrPaymentIncomplete):
			v.back(w, r, "", "unpaid", nil)
			return
		case err != nil:
			v.refuse(w, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), settleFor)
		defer cancel()
		id, known := v.settled(ctx, gateway, confirmed.OrderID)
		if known == nil {
			v.back(w, r, id, "checking", nil)
			return
		}
		v.back(w, r, id, string(known.Status), known)
	})
}

// settled has the bill of an order looked at, and returns what became of its visit, nil if
// that is not known yet.
func (v *Visits) settled(ctx context.Context, gateway fulfill.Gateway, orderID string) (string, *Visit) {
	order, err := gateway.Order(ctx, orderID)
	if err == nil {
		_, err = v.bills.Settle(ctx, order.Key)
	}
	var known *Visit
	if err == nil {
		known, err = v.Get(ctx, order.Key)
	}
	if err != nil {
		v.cfg.Logger.Warn("visit: a payment cannot be looked at now, and is later", slog.Any("error", err))
	}
	if order == nil {
		return "", nil
	}
	return order.Key, known
}

// back answers the browser.
func (v *Visits) back(w http.ResponseWriter, r *http.Request, id, status string, known *Visit) {
	w.Header().Set("Cache-Control", "no-store")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		if known != nil {
			answer(w, http.StatusOK, known)
			return
		}
		answer(w, http.StatusAccepted, map[string]string{"id": id, "status": status})
		return
	}
	to, _ := url.Parse(v.cfg.ReturnURL)
	query := to.Query()
	if id != "" {
		query.Set("visit", id)
	}
	query.Set("status", status)
	to.RawQuery = query.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// gatewayOf returns the gateway of the clinic whose address was asked, nil if it has none.
func (v *Visits) gatewayOf(r *http.Request) fulfill.Gateway {
	if v.bills == nil {
		return nil
	}
	c, err := v.clinicOf(r.Context(), r.PathValue("tenant"))
	if err != nil {
		if !errors.Is(err, telemed.ErrInvalid) {
			v.cfg.Logger.Error("visit: a clinic cannot be found", slog.Any("error", err))
		}
		return nil
	}
	return c.Gateway
}

// PaymentWebhook handles the gateway's webhooks; see payments.Webhook. Each says no more
// than that the gateway is to be asked, so that one that comes twice does no harm.
func (v *Visits) PaymentWebhook() http.Handler {
	hooks := &hooks{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gateway := v.gatewayOf(r)
		if gateway == nil {
			inbound.Bound(w, r)
			http.NotFound(w, r)
			return
		}
		hook, err := hooks.of(v, r.PathValue("tenant"), gateway)
		if err != nil {
			inbound.Bound(w, r)
			v.cfg.Logger.Error("visit: webhooks of a gateway cannot be taken", slog.Any("error", err))
			http.Error(w, "not available", http.StatusServiceUnavailable)
			return
		}
		hook.ServeHTTP(w, r)
	})
}

// hooks are the webhooks of clinics that were asked for.
type hooks struct {
	mu    sync.Mutex
	known map[string]hook
}

type hook struct {
	http.Handler
	gateway fulfill.Gateway
}

func (h *hooks) of(v *Visits, tenant string, gateway fulfill.Gateway) (http.Handler, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known, ok := h.known[tenant]; ok && known.gateway == gateway {
		return known, nil
	}
	made, err := payments.NewWebhook(payments.WebhookConfig{
		Parser: gateway, Logger: v.cfg.Logger,
		Handle: func(ctx context.Context, e payments.Event) error { return v.bills.TenantEvent(ctx, tenant, e) },
	})
	if err != nil {
		return nil, err
	}
	if h.known == nil {
		h.known = map[string]hook{}
	}
	h.known[tenant] = hook{made, gateway}
	return made, nil
}
