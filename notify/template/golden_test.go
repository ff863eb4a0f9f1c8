package template_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/template"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGolden(t *testing.T) {
	t.Parallel()
	set := newSet(t, config())
	for _, name := range set.Names() {
		for _, locale := range []string{"en", "hi"} {
			t.Run(name+"/"+locale, func(t *testing.T) {
				t.Parallel()
				data := any(appointment())
				if name == template.PaymentReceived {
					data = receipt()
				}
				msg := message(name, locale, data)
				msg.To.Zone = eastern
				content := render(t, set, msg)
				golden(t, name+"."+locale+".html", content.HTML)
				golden(t, name+"."+locale+".txt", content.Subject+"\n\n"+content.Text)
				golden(t, name+"."+locale+".whatsapp",
					content.WhatsApp.Name+" "+content.WhatsApp.Language+"\n"+strings.Join(content.WhatsApp.Body, "\n")+"\n")
				if name == template.PaymentReceived {
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
