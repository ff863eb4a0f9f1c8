package template_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
)

var update = flag.Bool("update", false, "write the golden files")

// invites are the templates that have a calendar file.
var invites = map[string]bool{
	template.Confirmed: true, template.Rescheduled: true, template.Cancelled: true,
	template.DoctorBooked: true, template.DoctorMoved: true, template.DoctorCancelled: true,
}

func TestGolden(t *testing.T) {
	t.Parallel()
	set, cfg := newSet(t, config()), config()
	cfg.Now = func() time.Time { return start.Add(-40 * time.Minute) }
	near := newSet(t, cfg)
	for _, name := range set.Names() {
		for _, locale := range languages(t) {
			t.Run(name+"/"+locale, func(t *testing.T) {
				t.Parallel()
				msg := message(name, locale, dataFor(name))
				msg.To.Zone = eastern
				if strings.HasPrefix(name, "doctor_") && name != template.DoctorLate {
					msg.To.Name = "Dr Mehta"
				}
				content := render(t, set, msg)
				if name == template.Reminder {
					content = render(t, near, msg)
				}
				golden(t, name+"."+locale+".html", content.HTML)
				golden(t, name+"."+locale+".txt", content.Subject+"\n\n"+content.Text)
				golden(t, name+"."+locale+".whatsapp", chat(t, content.WhatsApp))
				if !invites[name] {
					require.Empty(t, content.Files)
					return
				}
				require.Len(t, content.Files, 1)
				require.Equal(t, "invite.ics", content.Files[0].Name)
				golden(t, name+"."+locale+".ics", string(content.Files[0].Data))
			})
		}
	}
}

// languages are those of the built-in texts.
func languages(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("words/*.txt")
	require.NoError(t, err)
	var found []string
	for _, path := range paths {
		found = append(found, strings.TrimSuffix(filepath.Base(path), ".txt"))
	}
	require.Contains(t, found, "en")
	return found
}

// chat is a call, and below it what is registered for it.
func chat(t *testing.T, call *notify.WhatsAppTemplate) string {
	t.Helper()
	for _, d := range template.Definitions() {
		if d.Name == call.Name && d.Language == call.Language {
			text := call.Name + " " + call.Language + " " + d.Category + "\n" + strings.Join(call.Body, "\n") + "\n"
			if call.Code != "" {
				text += "the button copies " + call.Code + "\n"
			}
			return text + "\n" + d.Body + "\n"
		}
	}
	t.Fatalf("%s in %s is not defined", call.Name, call.Language)
	return ""
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update to write it")
	require.Equal(t, string(want), got, name)
}
