package whatsapptest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
)

// TestOtherClients lets two clients of npm send, which know nothing of this package's.
func TestOtherClients(t *testing.T) {
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds @kapso/whatsapp-cloud-api and whatsapp-api-js")
	}
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	srv := whatsapptest.NewServer(t, whatsapptest.Config{WebhookURL: hook.URL})
	require.NoError(t, srv.SendText(t.Context(), "+919876500001", "Asha", "Hello"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", "clients.cjs"),
		srv.URL(), srv.Token().Reveal(), srv.PhoneNumberID(), "919876500001")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, 7)
	for _, line := range lines {
		var step struct{ Name, ID, Error string }
		require.NoError(t, json.Unmarshal([]byte(line), &step))
		require.Empty(t, step.Error, step.Name)
		require.NotEmpty(t, step.ID, step.Name)
	}
	require.Len(t, srv.Messages(), 5)
}
