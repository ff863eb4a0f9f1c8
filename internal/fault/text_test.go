package fault_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

func TestText(t *testing.T) {
	t.Parallel()
	cause := errors.New("unexpected EOF")
	for want, text := range map[string]fault.Text{
		"zoom: Create: 400 (code 300, settings.jbh_time): invalid request: look: unexpected EOF [request id v=2.0;rid=WEB_1]": {
			Package: "zoom", Op: "Create", Status: 400, Codes: []fault.Code{{"code", "300"}, {"", "settings.jbh_time"}},
			Kind: telemed.ErrInvalid, Detail: "look", Cause: cause, RequestID: "v=2.0;rid=WEB_1",
		},
		"whatsapp: Status (code 0): rate limited": {
			Package: "whatsapp", Op: "Status", Codes: []fault.Code{{"code", "0"}}, Kind: telemed.ErrRateLimited,
		},
		"zoom: Create: unexpected EOF": {Package: "zoom", Op: "Create", Cause: cause},
		"razorpay: Refund: 400": {
			Package: "razorpay", Op: "Refund", Status: 400, RequestID: "Asha Rao",
			Codes: []fault.Code{{"reason", "Asha Rao"}, {"field", "asha@example.org"}, {"", ""}, {"code", strings.Repeat("x", 65)}},
		},
	} {
		require.Equal(t, want, text.String())
	}
}

func TestWordAndID(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"BAD_REQUEST_ERROR", "notes[0].value", "invalid-grant", "5.1.1", strings.Repeat("x", 64)} {
		require.Equal(t, word, fault.Word(word))
	}
	for _, prose := range []string{"Asha Rao", "asha@example.org", "+919876543210", "a\nb", "आशा", `"`, "a%20b"} {
		require.Empty(t, fault.Word(prose))
	}
	require.Equal(t, "v=2.0;clid=us06;rid=WEB_a/b+c:d", fault.ID("v=2.0;clid=us06;rid=WEB_a/b+c:d"))
	for _, odd := range []string{"a b", "asha@example.org", "a\r\nb", strings.Repeat("x", 129)} {
		require.Empty(t, fault.ID(odd))
	}
}

func TestMissingScope(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, fault.MissingScope, telemed.ErrMissingScope)
	require.ErrorIs(t, fault.MissingScope, telemed.ErrReconnect)
	require.EqualError(t, fault.MissingScope, telemed.ErrMissingScope.Error())
}
