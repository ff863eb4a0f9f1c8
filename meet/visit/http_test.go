package visit_test

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/telemed-go/telemed/payments"
)

// callback is the browser that comes back from the payment page.
func (c *clinic) callback(paid payments.Confirmation, accept string) (status int, body, location string) {
	r := httptest.NewRequestWithContext(c.Context(), http.MethodPost, "/api/payments/callback", strings.NewReader(c.gateway.Callback(paid).Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", accept)
	r.SetPathValue("action", "callback")
	w := httptest.NewRecorder()
	c.Payments().ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header().Get("Location")
}
