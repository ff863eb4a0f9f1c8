package razorpay

import "github.com/telemed-go/telemed/internal/fault"

const webhookVariable = "RAZORPAY_WEBHOOK_SECRET"

// FromEnv returns a Config that is filled from the environment:
//
//   - RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET are KeyID and KeySecret. Required.
//   - RAZORPAY_WEBHOOK_SECRET is one of WebhookSecrets. Without it webhooks are refused, and
//     New says so to Config.Logger: payments are then found by the checkout's callback and
//     by looking, which payments/fulfill does.
//   - RAZORPAY_BASE_URL is BaseURL. If it is not set, DefaultBaseURL.
//
// Only getenv is asked, which is os.Getenv in most applications; a nil one is an empty
// environment. What is missing or wrong is said by [New], with the name of the variable.
// Set the other fields before New.
func FromEnv(getenv func(name string) string) Config {
	env := fault.NewEnv(getenv)
	return Config{
		KeyID:          env.Text("KeyID", "RAZORPAY_KEY_ID"),
		KeySecret:      env.Secret("KeySecret", "RAZORPAY_KEY_SECRET"),
		WebhookSecrets: env.Secrets("WebhookSecrets", webhookVariable),
		BaseURL:        env.Text("BaseURL", "RAZORPAY_BASE_URL"),
		env:            env,
	}
}
