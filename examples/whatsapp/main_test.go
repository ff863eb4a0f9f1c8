package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/notify"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, func(string) string { return "" }, nil))
	require.Contains(t, out.String(), "accepted by whatsapp as wamid.")
	require.Contains(t, out.String(), "नमस्ते आशा राव, डॉ. मेहता के साथ")

	err := run(t.Context(), &out, func(string) string { return "" }, []string{"98765 43210"})
	require.ErrorIs(t, err, notify.ErrInvalid)
	require.ErrorContains(t, err, "To.Phone")

	token := func(name string) string { return map[string]string{"WHATSAPP_ACCESS_TOKEN": "x"}[name] }
	require.ErrorContains(t, run(t.Context(), &out, token, nil), "PhoneNumberID is required")
}
