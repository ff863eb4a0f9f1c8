package whatsapptest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// TestCodeButton: an authentication template wants its code in the body and in the button.
func TestCodeButton(t *testing.T) {
	t.Parallel()
	srv := whatsapptest.NewServer(t)
	const good = `{"messaging_product":"whatsapp","to":"919876543210","type":"template","template":{"name":"one_time_password",` +
		`"language":{"code":"hi"},"components":[{"type":"body","parameters":[{"type":"text","text":"482913"}]},` +
		`{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"482913"}]}]}}`
	button := good[strings.Index(good, `,{"type":"button"`):strings.LastIndex(good, `]}}`)]
	for name, c := range map[string]struct {
		old, now     string
		status, code int
	}{
		"good":           {"", "", 200, 0},
		"a number":       {`"index":"0"`, `"index":0`, 200, 0},
		"no button":      {button, "", 400, 131008},
		"two buttons":    {button, button + button, 400, 131008},
		"another place":  {`"index":"0"`, `"index":"1"`, 400, 132012},
		"copy_code":      {`"sub_type":"url"`, `"sub_type":"copy_code"`, 400, 132012},
		"nothing in it":  {`"0","parameters":[{"type":"text","text":"482913"}]`, `"0","parameters":[]`, 400, 131008},
		"a long code":    {`"482913"`, `"4829134829134829"`, 400, 132005},
		"more than this": {`"body","parameters":[`, `"body","parameters":[{"type":"text","text":"x"},`, 400, 132000},
		"a header":       {`"type":"body"`, `"type":"header"`, 400, 132018},
	} {
		body := good
		if c.old != "" {
			require.Contains(t, good, c.old, name)
			body = strings.ReplaceAll(good, c.old, c.now)
		}
		status, code := send(t, srv, body, nil)
		require.Equal(t, []int{c.status, c.code}, []int{status, code}, name)
	}
	require.Len(t, srv.Messages(), 2)
	for _, builtin := range whatsapptest.Builtin() {
		require.NotEmpty(t, builtin.Body)
		require.Equal(t, builtin.Name == "one_time_password", builtin.Category == "AUTHENTICATION")
	}
}
