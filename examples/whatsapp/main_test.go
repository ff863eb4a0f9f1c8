package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, func(string) string { return "" }, nil))
	require.Contains(t, out.String(), "accepted by whatsapp as wamid.")
	require.Contains(t, out.String(), "नमस्ते आशा राव,")
	require.Contains(t, out.String(), "डॉक्टर: डॉ. मेहता")

	err := run(t.Context(), &out, func(string) string { return "" }, []string{"98765 43210"})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.ErrorContains(t, err, "To.Phone")

	env := map[string]string{"WHATSAPP_ACCESS_TOKEN": "x"}
	getenv := func(name string) string { return env[name] }
	require.ErrorContains(t, run(t.Context(), &out, getenv, nil), "PhoneNumberID is required: set WHATSAPP_PHONE_NUMBER_ID")
	env["WHATSAPP_PHONE_NUMBER_ID"] = "1"
	require.ErrorContains(t, run(t.Context(), &out, getenv, nil), "To.Phone is required", "nobody gets a true message by default")
}
