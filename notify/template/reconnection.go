package template

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// Reconnection is the data of the Reconnect template: a doctor's account at a provider of
// meetings does not work any more. Texts are one line of at most 200 bytes.
type Reconnection struct {
	// Doctor is the doctor's name with its title, "Dr Mehta". Required.
	Doctor string
	// Clinic is the clinic's name. If empty, Config.Clinic.
	Clinic string
	// Provider is what the doctor knows the provider by: "Google", "Zoom". Required.
	Provider string
	// URL is the application's page where accounts are connected: https, or http on
	// loopback. It asks for a login, and is the same for all doctors: a message is no key.
	// Required.
	URL string
	// Next is when the first visit starts that waits for the account. If zero, it is not
	// shown.
	Next time.Time
}

// Validate names everything that is wrong with r. The error matches telemed.ErrInvalid.
func (r Reconnection) Validate() error {
	var p fault.Problems
	requiredLine(&p, "Doctor", r.Doctor)
	checkLine(&p, "Clinic", r.Clinic, maxText)
	requiredLine(&p, "Provider", r.Provider)
	p.Required("URL", r.URL)
	p.Check(r.URL == "" || safeURL(r.URL), "URL", "is not an https address (or http on loopback)")
	return p.Err("template: reconnection")
}

// LogValue leaves out everything personal.
func (r Reconnection) LogValue() slog.Value {
	return slog.GroupValue(slog.String("provider", r.Provider), slog.Time("next", r.Next))
}

// Format tells the same for every verb.
func (r Reconnection) Format(f fmt.State, _ rune) { redact.Format(f, r) }

func (r Reconnection) clinic() string { return r.Clinic }
