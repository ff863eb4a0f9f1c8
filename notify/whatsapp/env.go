package whatsapp

import "github.com/telemed-go/telemed/internal/fault"

// FromEnv returns a Config that is filled from the environment:
//
//   - WHATSAPP_PHONE_NUMBER_ID and WHATSAPP_ACCESS_TOKEN are PhoneNumberID and Token.
//     Required.
//   - WHATSAPP_APP_SECRET is one of WebhookSecrets, and WHATSAPP_VERIFY_TOKEN is VerifyToken.
//     Without them nobody hears whether a message has arrived.
//   - WHATSAPP_BUSINESS_ACCOUNT_ID is BusinessAccountID.
//   - WHATSAPP_BASE_URL is BaseURL. If it is not set, DefaultBaseURL.
//
// Only getenv is asked, which is os.Getenv in most applications; a nil one is an empty
// environment. What is missing or wrong is said by [New], with the name of the variable.
// Set the other fields before New.
func FromEnv(getenv func(name string) string) Config {
	env := fault.NewEnv(getenv)
	return Config{
		PhoneNumberID:     env.Text("PhoneNumberID", "WHATSAPP_PHONE_NUMBER_ID"),
		Token:             env.Secret("Token", "WHATSAPP_ACCESS_TOKEN"),
		BusinessAccountID: env.Text("BusinessAccountID", "WHATSAPP_BUSINESS_ACCOUNT_ID"),
		WebhookSecrets:    env.Secrets("WebhookSecrets", "WHATSAPP_APP_SECRET"),
		VerifyToken:       env.Secret("VerifyToken", "WHATSAPP_VERIFY_TOKEN"),
		BaseURL:           env.Text("BaseURL", "WHATSAPP_BASE_URL"),
		env:               env,
	}
}
