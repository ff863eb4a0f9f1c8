package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/telemed-go/telemed/internal/secret"
)

const text = "s3cr3t-canary"

type exported struct {
	Secret secret.String
	Ptr    *secret.String
	List   []secret.String
	Map    map[string]secret.String
}

type unexported struct {
	secret secret.String
	list   []secret.String
}

func containers() map[string]any {
	s := secret.New(text)
	return map[string]any{
		"value":      s,
		"pointer":    &s,
		"slice":      []secret.String{s},
		"map":        map[string]secret.String{"k": s},
		"exported":   exported{s, &s, []secret.String{s}, map[string]secret.String{"k": s}},
		"unexported": unexported{s, []secret.String{s}},
		"&exported":  &exported{Secret: s},
		"nested":     struct{ in any }{unexported{secret: s}},
	}
}

// leaks reports whether out shows the text plainly, or in one of the forms that fmt's verbs give it.
func leaks(out string) bool {
	for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), fmt.Sprintf("% x", text), fmt.Sprint([]byte(text))} {
		if strings.Contains(out, form) {
			return true
		}
	}
	return false
}

func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%p", "%t", "%T", "%c", "%U", "%b", "%e"}
	for name, value := range containers() {
		for _, verb := range verbs {
			require.False(t, leaks(fmt.Sprintf(verb, value)), "%s of %s", verb, name)
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err, name)
		require.False(t, leaks(string(encoded)), "json of %s", name)

		if encoded, err := xml.Marshal(value); err == nil {
			require.False(t, leaks(string(encoded)), "xml of %s", name)
		}
		if encoded, err := bson.Marshal(struct{ V any }{value}); err == nil {
			require.False(t, leaks(string(encoded)), "bson of %s", name)
		}
		var stream bytes.Buffer
		if err := gob.NewEncoder(&stream).Encode(value); err == nil {
			require.False(t, leaks(stream.String()), "gob of %s", name)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", value)
		require.False(t, leaks(log.String()), "slog of %s", name)

		var page bytes.Buffer
		require.NoError(t, template.Must(template.New("").Parse(`<p>{{.}}</p><script>x={{.}}</script>`)).Execute(&page, value))
		require.False(t, leaks(page.String()), "template of %s", name)
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	s := secret.New(text)
	require.Equal(t, text, s.Reveal())
	require.Equal(t, "[redacted]", s.String())
	require.Equal(t, "[redacted]", fmt.Sprintf("%#v", s))
	require.True(t, s.Equal(secret.New(text)))
	require.False(t, s.Equal(secret.New("other")))
	require.True(t, secret.New("").IsZero())
	require.True(t, secret.String{}.Equal(secret.New("")))
	require.Empty(t, secret.String{}.Reveal())
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var config struct{ Key secret.String }
	require.NoError(t, json.Unmarshal([]byte(`{"Key":"k1"}`), &config))
	require.Equal(t, "k1", config.Key.Reveal())

	encoded, err := json.Marshal(config)
	require.NoError(t, err)
	require.Error(t, json.Unmarshal(encoded, &config), "a redacted document must not be read back as a secret")
}
