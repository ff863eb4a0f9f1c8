package razorpay_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments/razorpay"
)

// What is missing is named with its variable. In an application getenv is os.Getenv.
func ExampleFromEnv() {
	env := map[string]string{"RAZORPAY_KEY_ID": "rzp_test_1DP5mmOlF5G5ag"}
	getenv := func(name string) string { return env[name] }
	_, err := razorpay.New(razorpay.FromEnv(getenv))
	fmt.Println(err)

	env["RAZORPAY_KEY_SECRET"] = "…"
	gateway, err := razorpay.New(razorpay.FromEnv(getenv))
	fmt.Println(gateway.Mode(), err)
	// Output:
	// razorpay: KeySecret is required: set RAZORPAY_KEY_SECRET
	// test <nil>
}

// An application that has forgotten the secret of its webhook hears of it when it starts.
// One that has written its Config by hand left it out on purpose.
func TestMissingWebhookSecretIsWarnedOf(t *testing.T) {
	t.Parallel()
	env := map[string]string{"RAZORPAY_KEY_ID": "rzp_test_1", "RAZORPAY_KEY_SECRET": "s3cret"}
	said := func(cfg razorpay.Config) string {
		var log bytes.Buffer
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		_, err := razorpay.New(cfg)
		require.NoError(t, err)
		return log.String()
	}
	getenv := func(name string) string { return env[name] }
	require.Contains(t, said(razorpay.FromEnv(getenv)), "level=WARN msg=\"razorpay: webhooks are refused, for there is no secret\" set=RAZORPAY_WEBHOOK_SECRET")
	env["RAZORPAY_WEBHOOK_SECRET"] = "signs"
	require.Empty(t, said(razorpay.FromEnv(getenv)))
	require.Empty(t, said(razorpay.Config{KeyID: "rzp_test_1", KeySecret: telemed.NewSecret("s3cret")}))
}
