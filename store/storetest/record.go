package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// key is the key of most clauses. As a pattern of SQL it fits others too.
var key = store.AccountID{Provider: "zoom", Subject: "doctor_1"}

// full returns a record with something in every field.
func full(key store.AccountID) store.Record {
	at := time.Date(2026, 11, 24, 9, 30, 15, int(123*time.Millisecond), time.UTC)
	return store.Record{
		ID: key,
		Token: store.Token{
			Access:  telemed.NewSecret("access <\"'&\\%_;--> é 日本 \U0001f600"),
			Refresh: telemed.NewSecret("refresh." + strings.Repeat("Aa0-_", 100)),
			Type:    "bearer",
			Expiry:  at.Add(time.Hour),
			Scopes:  []string{"meeting:write:meeting", "https://www.googleapis.com/auth/calendar.events"},
			Account: store.Account{ID: "account-1", Email: "doctor@hospital.example"},
			Extra:   map[string]string{"api_url": "https://api-in.zoom.us", "a.b$c": "dots and dollars", "empty": ""},
		},
		Status: store.StatusReconnect,
		Reason: "why – in words, 'quoted'",
		Lease: store.Lease{
			Owner: strings.Repeat("o", 26), Until: at.Add(time.Minute + time.Millisecond),
			TTL: 30*24*time.Hour + time.Millisecond, Tainted: true, // more milliseconds than 32 bits hold
		},
		UpdatedAt: at,
	}
}

// small returns a record with a token that carries text.
func small(key store.AccountID, text string) store.Record {
	return store.Record{
		ID: key, Status: store.StatusActive, UpdatedAt: time.UnixMilli(1_700_000_000_000).UTC(),
		Token: store.Token{Access: telemed.NewSecret(text), Refresh: telemed.NewSecret("r-" + text)},
	}
}

// differences names the fields that differ. Nil and empty slices and maps are the same,
// and so are two times that name the same moment.
func differences(got, want store.Record) []string {
	var names []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"ID", got.ID == want.ID},
		{"Token.Access", got.Token.Access.Equal(want.Token.Access)},
		{"Token.Refresh", got.Token.Refresh.Equal(want.Token.Refresh)},
		{"Token.Type", got.Token.Type == want.Token.Type},
		{"Token.Expiry", sameTime(got.Token.Expiry, want.Token.Expiry)},
		{"Token.Scopes", slices.Equal(got.Token.Scopes, want.Token.Scopes)},
		{"Token.Account", got.Token.Account == want.Token.Account},
		{"Token.Extra", maps.Equal(got.Token.Extra, want.Token.Extra)},
		{"Status", got.Status == want.Status},
		{"Reason", got.Reason == want.Reason},
		{"Lease.Owner", got.Lease.Owner == want.Lease.Owner},
		{"Lease.Until", sameTime(got.Lease.Until, want.Lease.Until)},
		{"Lease.TTL", got.Lease.TTL == want.Lease.TTL},
		{"Lease.Tainted", got.Lease.Tainted == want.Lease.Tainted},
		{"UpdatedAt", sameTime(got.UpdatedAt, want.UpdatedAt)},
		{"Revision", got.Revision == want.Revision},
	} {
		if !field.same {
			names = append(names, field.name)
		}
	}
	return names
}

func wantEqual(t *testing.T, got, want store.Record) {
	t.Helper()
	for _, name := range differences(got, want) {
		t.Errorf("%v: %s is not what was put", want.ID, name)
	}
}

func sameTime(a, b time.Time) bool { return a.Equal(b) && a.IsZero() == b.IsZero() }

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error is %v, want one that matches %q", what, err, want)
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
