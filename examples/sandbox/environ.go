package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// clinicKey seals what an application keeps here. It is the same each time, so that a
// database that was written with one sandbox can be read with the next. It is in base64
// and says what it is: "not a secret: telemed's sandbox!".
const clinicKey = "bm90IGEgc2VjcmV0OiB0ZWxlbWVkJ3Mgc2FuZGJveCE="

// variable is one of the environment.
type variable struct{ name, value string }

// variables are what an application needs to be at the providers, in the order in which
// they are printed. Those of the application itself stay as they are.
func (p *providers) variables(getenv func(string) string) []variable {
	host, port, _ := net.SplitHostPort(p.mail.Addr()) // it listens there
	w := p.world()
	all := []variable{
		{"GOOGLE_CLIENT_ID", w.Google.ClientID()},
		{"GOOGLE_CLIENT_SECRET", w.Google.ClientSecret().Reveal()},
		{"GOOGLE_BASE_URL", w.Google.URL()},
		{"ZOOM_CLIENT_ID", w.Zoom.ClientID()},
		{"ZOOM_CLIENT_SECRET", w.Zoom.ClientSecret().Reveal()},
		{"ZOOM_WEBHOOK_SECRET", w.Zoom.WebhookSecret().Reveal()},
		{"ZOOM_BASE_URL", w.Zoom.URL()},
		{"RAZORPAY_KEY_ID", w.Razorpay.KeyID()},
		{"RAZORPAY_KEY_SECRET", w.Razorpay.KeySecret().Reveal()},
		{"RAZORPAY_WEBHOOK_SECRET", w.Razorpay.WebhookSecret().Reveal()},
		{"RAZORPAY_BASE_URL", w.Razorpay.URL()},
		{"EMAIL_HOST", host},
		{"EMAIL_PORT", port},
		{"EMAIL_USER", mailUser},
		{"EMAIL_PASS", mailPassword},
		{"EMAIL_FROM", "City Clinic <care@clinic.example>"},
		{"EMAIL_SECURITY", "starttls"},
		{"EMAIL_TLS_CA", string(p.mail.Certificate())},
		{"EMAIL_TLS_CA_FILE", p.files.mail},
		{"NODE_EXTRA_CA_CERTS", p.files.node},
		{"WHATSAPP_ACCESS_TOKEN", w.WhatsApp.Token().Reveal()},
		{"WHATSAPP_PHONE_NUMBER_ID", w.WhatsApp.PhoneNumberID()},
		{"WHATSAPP_BUSINESS_ACCOUNT_ID", w.WhatsApp.BusinessAccountID()},
		{"WHATSAPP_APP_SECRET", w.WhatsApp.AppSecret().Reveal()},
		{"WHATSAPP_VERIFY_TOKEN", verifyToken},
		{"WHATSAPP_BASE_URL", w.WhatsApp.URL()},
		{"SANDBOX_URL", p.pages},
	}
	for _, own := range []variable{
		{"GOOGLE_REDIRECT_URI", p.api + "/auth/google/doctor/callback"},
		{"ZOOM_REDIRECT_URI", p.api + "/auth/zoom/doctor/callback"},
		{"FRONTEND_URL", origin(p.api)},
		{"CLINIC_KEY", clinicKey},
	} {
		all = append(all, variable{own.name, cmp.Or(getenv(own.name), own.value)})
	}
	return all
}

func webAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Hostname() != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// webBase reports whether paths can stand behind an address.
func webBase(address string) bool { return webAddress(address) && !strings.ContainsAny(address, "?#") }

// origin is an address without its path.
func origin(address string) string {
	u, _ := url.Parse(address) // start has read it
	return u.Scheme + "://" + u.Host
}

// lookup is os.Getenv for an environment.
func lookup(environ []string) func(string) string {
	return func(name string) string {
		for _, entry := range slices.Backward(environ) {
			if value, found := strings.CutPrefix(entry, name+"="); found {
				return value
			}
		}
		return ""
	}
}

// merge returns environ with the variables in it, each once.
func merge(environ []string, variables []variable) []string {
	merged := slices.Clone(environ)
	for _, v := range variables {
		merged = slices.DeleteFunc(merged, func(entry string) bool { return strings.HasPrefix(entry, v.name+"=") })
		merged = append(merged, v.name+"="+v.value)
	}
	return merged
}

// export is the variables for a shell.
func export(variables []variable) string {
	var text strings.Builder
	for _, v := range variables {
		fmt.Fprintf(&text, "export %s='%s'\n", v.name, strings.ReplaceAll(v.value, "'", `'\''`))
	}
	return text.String()
}

// printVariables prints those of the sandbox that runs at listen.
func printVariables(ctx context.Context, out io.Writer, listen string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("-listen: %w", err)
	}
	address := "http://" + net.JoinHostPort(reachable(host), port) + environPath
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("-listen: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no sandbox runs at %s: %w", listen, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get(sandboxHeader) == "" {
		return errors.New("what runs at " + listen + " is no sandbox")
	}
	_, err = io.Copy(out, resp.Body)
	return err
}
