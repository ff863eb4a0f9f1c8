package visit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments/fulfill"
)

// clinic is what one clinic has.
type clinic struct {
	Providers
	zone *time.Location
}

func newClinic(of Providers) (*clinic, error) {
	var p fault.Problems
	p.Required("Clinic", of.Clinic)
	p.Required("Zone", of.Zone)
	zone, err := zoneOf(of.Zone)
	p.Check(err == nil, "Zone", "is not the IANA name of a zone, such as Asia/Kolkata")
	for name, provider := range of.Meetings {
		p.Check(name != "", "Meetings", "has a provider without a name")
		p.NotNil("Meetings["+name+"]", provider)
	}
	p.Optional("Gateway", of.Gateway)
	p.Optional("Mail", of.Mail)
	p.Optional("WhatsApp", of.WhatsApp)
	if lister, ok := of.Renderer.(interface{ Names() []string }); p.Optional("Renderer", of.Renderer) && ok {
		for _, name := range templates {
			p.Check(slices.Contains(lister.Names(), name), "Renderer", "has no template %s", name)
		}
	}
	if err := p.Err("visit"); err != nil {
		return nil, err
	}
	if of.Renderer == nil {
		of.Renderer, err = template.New(template.Config{
			Clinic: of.Clinic, Zone: zone, Brand: of.Brand, Preset: of.Preset, AllowUnreviewed: of.AllowUnreviewed,
		})
		if err != nil {
			return nil, fmt.Errorf("visit: %w", err)
		}
	}
	return &clinic{of, zone}, nil
}

// channels returns the ways on which the clinic reaches a patient.
func (c *clinic) channels(p Patient) (found []notify.Channel) {
	if c.Mail != nil && p.Email != "" {
		found = append(found, notify.Email)
	}
	if c.WhatsApp != nil && p.Phone != "" {
		found = append(found, notify.WhatsApp)
	}
	return found
}

// clinics are those of Config.Tenants that were asked for. Making one parses templates.
type clinics struct {
	mu    sync.Mutex
	known map[string]*clinic
}

// clinicOf returns what a tenant has.
func (v *Visits) clinicOf(ctx context.Context, tenant string) (*clinic, error) {
	if v.cfg.Tenants == nil {
		return v.own, nil
	}
	of, err := v.cfg.Tenants(ctx, tenant)
	switch {
	case errors.Is(err, telemed.ErrNotFound):
		return nil, fault.Invalid("visit", "Tenant", "is no clinic of Config.Tenants")
	case err != nil:
		return nil, fmt.Errorf("visit: %w", fault.OfApplication("Tenants", err))
	}
	v.clinics.mu.Lock()
	defer v.clinics.mu.Unlock()
	if known := v.clinics.known[tenant]; known != nil && known.made(of) {
		return &clinic{withRenderer(of, known.Renderer), known.zone}, nil
	}
	made, err := newClinic(of)
	if err != nil {
		return nil, err
	}
	if v.clinics.known == nil {
		v.clinics.known = map[string]*clinic{}
	}
	v.clinics.known[tenant] = made
	return made, nil
}

// made reports whether c's words are those of a clinic's.
func (c *clinic) made(of Providers) bool {
	return of.Renderer == nil && c.Clinic == of.Clinic && c.Zone == of.Zone &&
		c.Brand == of.Brand && c.Preset == of.Preset && c.AllowUnreviewed == of.AllowUnreviewed
}

func withRenderer(of Providers, words notify.Renderer) Providers {
	of.Renderer = words
	return of
}

func isEncrypted(u *url.URL) bool { return address.Encrypted(u) }

// zoneName returns the name of a zone, the clinic's for none.
func (c *clinic) zoneName(name string) string { return cmp.Or(name, c.Zone) }

// gateways is fulfill.Config.Tenants, nil for one clinic.
func (v *Visits) gateways() func(context.Context, string) (fulfill.Gateway, error) {
	if v.cfg.Tenants == nil {
		return nil
	}
	return func(ctx context.Context, tenant string) (fulfill.Gateway, error) {
		c, err := v.clinicOf(ctx, tenant)
		if err != nil {
			return nil, err
		}
		return c.Gateway, nil
	}
}
