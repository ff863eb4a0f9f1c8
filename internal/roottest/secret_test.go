package roottest

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"strings"
	"testing"
	texttemplate "text/template"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/telemed-go/telemed"
)

const text = "s3cr3t-canary"

type exported struct {
	Secret telemed.Secret
	Ptr    *telemed.Secret
	List   []telemed.Secret
	Map    map[string]telemed.Secret
}

type unexported struct {
	secret telemed.Secret
	list   []telemed.Secret
}

func containers() map[string]any {
	s := telemed.NewSecret(text)
	return map[string]any{
		"value":      s,
		"pointer":    &s,
		"slice":      []telemed.Secret{s},
		"map":        map[string]telemed.Secret{"k": s},
		"exported":   exported{s, &s, []telemed.Secret{s}, map[string]telemed.Secret{"k": s}},
		"unexported": unexported{s, []telemed.Secret{s}},
		"&exported":  &exported{Secret: s},
		"nested":     struct{ in any }{unexported{secret: s}},
	}
}

// leaks reports whether out shows the text plainly, or in one of the forms that fmt's
// verbs give it.
func leaks(out string) bool {
	for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), fmt.Sprintf("% x", text), fmt.Sprint([]byte(text))} {
		if strings.Contains(out, form) {
			return true
		}
	}
	return false
}

// printed returns what fmt makes of value with every verb, known to it or not, alone and
// with flags.
func printed(value any) map[string]string {
	out := map[string]string{"Sprint": fmt.Sprint(value), "Sprintln": fmt.Sprintln(value)}
	for verb := 'A'; verb <= 'z'; verb++ {
		for _, flags := range []string{"", "+", "#", " ", "-20", "020", "+#.99"} {
			format := "%" + flags + string(verb)
			out[format] = fmt.Sprintf(format, value)
		}
	}
	return out
}

// encoded returns what encoders make of value. One that refuses it is left out.
func encoded(t *testing.T, value any) map[string]string {
	t.Helper()
	out := map[string]string{}
	keep := func(name string, data []byte, err error) {
		if err == nil {
			out[name] = string(data)
		}
	}
	data, err := json.Marshal(value)
	require.NoError(t, err)
	keep("json", data, nil)
	data, err = xml.Marshal(value)
	keep("xml", data, err)
	data, err = bson.Marshal(struct{ V any }{value})
	keep("bson", data, err)
	var stream bytes.Buffer
	err = gob.NewEncoder(&stream).Encode(value)
	keep("gob", stream.Bytes(), err)
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"slog text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"slog json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var log bytes.Buffer
		slog.New(handler(&log)).With("w", value).Info("m", "v", value, slog.Group("g", "v", value))
		keep(name, log.Bytes(), nil)
	}
	const page = `{{.}} {{printf "%s %v %q %x" . . . .}} {{html .}} {{js .}} {{urlquery .}}`
	var text, html bytes.Buffer
	require.NoError(t, texttemplate.Must(texttemplate.New("").Parse(page)).Execute(&text, value))
	keep("text/template", text.Bytes(), nil)
	require.NoError(t, template.Must(template.New("").Parse(`<a href="/?q={{.}}" title="{{.}}">{{.}}</a><script>x={{.}}</script>`)).Execute(&html, value))
	keep("html/template", html.Bytes(), nil)
	return out
}

func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for name, value := range containers() {
		for way, out := range printed(value) {
			seen["fmt"]++
			require.False(t, leaks(out), "%s of %s", way, name)
		}
		for way, out := range encoded(t, value) {
			seen[way]++
			require.False(t, leaks(out), "%s of %s", way, name)
		}
	}
	for _, way := range []string{"fmt", "json", "xml", "bson", "gob", "slog text", "slog json", "text/template", "html/template"} {
		require.GreaterOrEqual(t, seen[way], 4, "%s refuses nearly all: nothing is proved", way)
	}
	t.Logf("no leaks in %v", seen)
}

// TestLeaksAreFound has the test above see what a secret would be without this package.
func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	bare := struct{ Text string }{text}
	for way, out := range encoded(t, bare) {
		require.True(t, leaks(out), way)
	}
	out := printed(bare)
	for _, way := range []string{"Sprint", "Sprintln", "%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%p"} {
		require.True(t, leaks(out[way]), way)
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	s := telemed.NewSecret(text)
	require.Equal(t, text, s.Reveal())
	require.Equal(t, "[redacted]", s.String())
	require.Equal(t, "[redacted]", fmt.Sprintf("%#v", s))
	require.True(t, s.Equal(telemed.NewSecret(text)))
	require.False(t, s.Equal(telemed.NewSecret("other")))
	require.True(t, telemed.NewSecret("").IsZero())
	require.True(t, telemed.Secret{}.Equal(telemed.NewSecret("")))
	require.Empty(t, telemed.Secret{}.Reveal())
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var config struct{ Key telemed.Secret }
	require.NoError(t, json.Unmarshal([]byte(`{"Key":"k1"}`), &config))
	require.Equal(t, "k1", config.Key.Reveal())

	encoded, err := json.Marshal(config)
	require.NoError(t, err)
	require.Error(t, json.Unmarshal(encoded, &config), "a redacted document must not be read back as a secret")
}
