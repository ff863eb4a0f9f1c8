package whatsapp_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify/whatsapp"
)

// What is missing is named with its variable. In an application getenv is os.Getenv.
func ExampleFromEnv() {
	env := map[string]string{"WHATSAPP_PHONE_NUMBER_ID": "+91 98765 43210"}
	getenv := func(name string) string { return env[name] }
	_, err := whatsapp.New(whatsapp.FromEnv(getenv))
	fmt.Println(err)

	env["WHATSAPP_PHONE_NUMBER_ID"], env["WHATSAPP_ACCESS_TOKEN"] = "106540352242922", "…"
	_, err = whatsapp.New(whatsapp.FromEnv(getenv))
	fmt.Println(err)
	// Output:
	// whatsapp: PhoneNumberID is not an id of digits alone: correct WHATSAPP_PHONE_NUMBER_ID; Token is required: set WHATSAPP_ACCESS_TOKEN
	// <nil>
}

// The secrets for Meta's webhooks are where NewWebhook's come from.
func TestWebhookSecretsFromEnv(t *testing.T) {
	t.Parallel()
	env := map[string]string{"WHATSAPP_APP_SECRET": "signs\n", "WHATSAPP_VERIFY_TOKEN": "knocks", "WHATSAPP_BUSINESS_ACCOUNT_ID": "102290129340398"}
	cfg := whatsapp.FromEnv(func(name string) string { return env[name] })
	require.Len(t, cfg.WebhookSecrets, 1)
	require.Equal(t, "signs", cfg.WebhookSecrets[0].Reveal())
	require.Equal(t, "knocks", cfg.VerifyToken.Reveal())
	require.Equal(t, "102290129340398", cfg.BusinessAccountID)

	cfg = whatsapp.Config{PhoneNumberID: "1", Token: telemed.NewSecret("t"), BusinessAccountID: "WABA", WebhookSecrets: make([]telemed.Secret, 1)}
	_, err := whatsapp.New(cfg)
	require.EqualError(t, err, "whatsapp: BusinessAccountID is not an id of digits alone; WebhookSecrets[0] is empty: anybody could sign with it")
}
