package visit_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

func registered(cfg *visit.Config) {
	cfg.Renderer = nil
	cfg.Brand = template.Brand{Address: "12 Lake Road, Pune", Registration: "MH/CE/2021/17"}
	cfg.Preset, cfg.AllowUnreviewed = template.India2020, true
}

// TestBrandAndRegistration: the clinic's brand and the doctor's registration stand in what
// the patient reads, from the receipt to the reminder.
func TestBrandAndRegistration(t *testing.T) {
	story(t, registered, func(c *clinic) {
		req := request(theVisit)
		require.Equal(c, []string{"Doctor.Registration", "Doctor.Council"}, fields(c.Book(c.Context(), req)))
		req.Doctor.Registration, req.Doctor.Council = "12345\n", "Maharashtra Medical Council"
		require.Equal(c, []string{"Doctor.Registration"}, fields(c.Book(c.Context(), req)))
		req.Doctor.Registration = "12345"
		req.Patient.Locale = "hi"
		require.NoError(c, c.Book(c.Context(), req))
		c.pay(theVisit)
		c.wait(7 * 24 * time.Hour)
		seen := map[string]bool{}
		for _, m := range c.mail.Messages() {
			require.Contains(c, m.Content.Text, "12 Lake Road, Pune")
			require.Contains(c, m.Content.Text, "MH/CE/2021/17")
			if m.To.Email != req.Patient.Email {
				continue
			}
			seen[m.Content.WhatsApp.Name] = true
			require.Equal(c, "hi", m.Content.WhatsApp.Language)
			require.Contains(c, m.Content.Text, "12345 Maharashtra Medical Council")
			require.Contains(c, m.Content.Text, "Dr Meera Rao")
		}
		require.Equal(c, map[string]bool{template.PaymentReceived: true, template.Confirmed: true}, seen)
		require.Empty(c, c.stuck)
	})
}

// TestTheSameRequestWithARegistration: an application that begins to tell the registration
// asks for no other visit.
func TestTheSameRequestWithARegistration(t *testing.T) {
	story(t, nil, func(c *clinic) {
		req := request(theVisit)
		require.NoError(c, c.Book(c.Context(), req))
		req.Doctor.Registration, req.Doctor.Council = "12345", "Maharashtra Medical Council"
		require.NoError(c, c.Book(c.Context(), req))
	})
}

// TestBrandOfATenant: each clinic has its own, and a change of it is seen.
func TestBrandOfATenant(t *testing.T) {
	brand := template.Brand{Address: "12 Lake Road, Pune"}
	story(t, func(cfg *visit.Config) {
		own := visit.Providers{Clinic: "Lotus", Zone: "Asia/Kolkata", Meetings: cfg.Meetings, Mail: cfg.Mail}
		cfg.Tenants = func(context.Context, string) (visit.Providers, error) {
			own.Brand = brand
			return own, nil
		}
	}, func(c *clinic) {
		for i, id := range []string{theVisit, "appt-43"} {
			req := request(id)
			req.Price, req.Start = payments.Money{}, start().Add(time.Duration(i)*time.Hour)
			require.NoError(c, c.Book(c.Context(), req))
			c.wait(time.Minute)
			all := c.mail.Messages()
			require.Contains(c, all[len(all)-1].Content.Text, brand.Address)
			brand.Address = "7 Hill Road, Pune"
		}
	})
}

func TestPresetNeedsTheClinicsRegistration(t *testing.T) {
	t.Parallel()
	cfg := visit.Config{Store: durable.NewMemory(), Clinic: "Lotus", Zone: "Asia/Kolkata", Preset: template.India2020}
	_, err := visit.New(cfg)
	require.Equal(t, []string{"Brand.Registration"}, fields(err))
	cfg.Preset, cfg.Brand.Color = "", "#ffffff"
	_, err = visit.New(cfg)
	require.Equal(t, []string{"Brand.Color"}, fields(err))
}
