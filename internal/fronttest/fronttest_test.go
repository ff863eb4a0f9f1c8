package fronttest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fronttest"
	"github.com/telemed-go/telemed/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestStart(t *testing.T) {
	t.Parallel()
	fronttest.Find(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+" "+r.Host+" "+r.Header.Get("Upgrade"))
	}))
	defer server.Close()
	nginx := fronttest.Start(t, server.URL)
	for url, want := range map[string]string{nginx.Whole: "HTTP/1.1 127.0.0.1 websocket", nginx.Plain: "HTTP/1.0 127.0.0.1 "} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		r.Header.Set("Upgrade", "websocket")
		r.Host = "127.0.0.1"
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, want, string(body))
	}
}
