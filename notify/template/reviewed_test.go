package template_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/template"
)

// TestUnreviewedLanguageIsNotSent: its readers get the default locale.
func TestUnreviewedLanguageIsNotSent(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.AllowUnreviewed = false
	set := newSet(t, cfg)
	require.Equal(t, "en", render(t, set, message(template.Confirmed, "hi", appointment())).WhatsApp.Language)
	require.Equal(t, "hi", render(t, newSet(t, config()), message(template.Confirmed, "hi", appointment())).WhatsApp.Language)
}
