package signature_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
)

const header = "X-Signature"

// delivery is a body, signed with key as the provider wrote it, on its way to a check.
func delivery(body string) signature.Check {
	h := http.Header{}
	h.Set(header, "v1="+signature.Hex([]byte(key), []byte(body)))
	return signature.Check{
		Header: h, Name: header, Prefix: "v1=", Body: []byte(body),
		Secrets: []telemed.Secret{telemed.NewSecret("zkmark-first"), telemed.NewSecret(key)},
		Event:   func(body []byte) bool { return bytes.Contains(body, []byte(`"event"`)) },
	}
}

const event = `{"event":"paid","url":"https:\/\/clinic.example\/a","name":"Asha \u0930\ud83d\ude92 \"x\"","n":[1.50,{},[]]}`

func TestVerify(t *testing.T) {
	t.Parallel()
	signer, err := delivery(event).Verify()
	require.NoError(t, err)
	require.True(t, signer.Equal(telemed.NewSecret(key)), "the secret that signed")

	c := delivery(event)
	c.Signed = func(body []byte) []byte { return append([]byte("v1:7:"), body...) }
	c.Header.Set(header, "v1="+signature.Hex([]byte("zkmark-first"), []byte("v1:7:"+event)))
	signer, err = c.Verify()
	require.NoError(t, err)
	require.True(t, signer.Equal(telemed.NewSecret("zkmark-first")))
}

// Each cause has words of its own, and none of them tells what was sent or what is
// secret.
func TestReasons(t *testing.T) {
	t.Parallel()
	value := delivery(event).Header.Get(header)
	reorder := func(body string) string {
		var value any
		require.NoError(t, json.Unmarshal([]byte(body), &value))
		sorted, err := json.Marshal(value)
		require.NoError(t, err)
		return string(sorted)
	}
	const long = `{"event":"x","b":1,"a":{"z":1,"y":2,"x":3},"c":"zkmark"}`
	tests := map[string]struct {
		change func(*signature.Check)
		want   string
	}{
		"no header":      {func(c *signature.Check) { c.Header.Del(header) }, "the header X-Signature is missing"},
		"no prefix":      {func(c *signature.Check) { c.Header.Set(header, value[3:]) }, `is not "v1=" and 64 hexadecimal digits`},
		"a cut header":   {func(c *signature.Check) { c.Header.Set(header, value[:60]) }, "64 hexadecimal digits"},
		"no hexadecimal": {func(c *signature.Check) { c.Header.Set(header, "v1="+strings.Repeat("g", 64)) }, "64 hexadecimal digits"},
		"nothing set":    {func(c *signature.Check) { c.Secrets = nil }, "no secret is configured"},
		"read before":    {func(c *signature.Check) { c.Body = nil }, "the body is empty"},
		"the API's key": {func(c *signature.Check) {
			c.Secrets, c.APISecret = c.Secrets[:1], telemed.NewSecret(key)
		}, "the secret of the API key"},
		"cut": {func(c *signature.Check) { c.Body = c.Body[:40] }, "its JSON has no end"},
		"cut by its length": {func(c *signature.Check) {
			c.Body = []byte(`{"event":"paid"}`)
			c.Header.Set("Content-Length", "99")
		}, "16 of 99 bytes are here"},
		"another secret":   {func(c *signature.Check) { c.Secrets = c.Secrets[:1] }, "the secret is another"},
		"the empty secret": {func(c *signature.Check) { c.Secrets = []telemed.Secret{{}} }, "the secret is another"},
		"changed":          {func(c *signature.Check) { c.Body = bytes.Replace(c.Body, []byte("paid"), []byte("free"), 1) }, "changed on its way"},
		"of somebody else": {func(c *signature.Check) { c.Body = []byte(`{"type":"charge"}`) }, "not an event of this provider"},
		"not JSON":         {func(c *signature.Check) { c.Body = []byte(`event=paid`) }, "not an event of this provider"},
		"a map encoded it": {func(c *signature.Check) { *c = delivery(long); c.Body = []byte(reorder(long)) }, "alphabetical order"},
		"too large to try": {func(c *signature.Check) { c.Body = append(bytes.Repeat([]byte(" "), 64<<10), c.Body...) }, "changed on its way"},
		"deeper than looks": {func(c *signature.Check) {
			c.Body = []byte(`{"event":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + "}")
		}, "the secret is another"},
	}
	seen := map[string]string{}
	for name, test := range tests {
		c := delivery(event)
		test.change(&c)
		_, err := c.Verify()
		require.ErrorIs(t, err, telemed.ErrSignature, name)
		require.ErrorContains(t, err, test.want, name)
		require.NotContains(t, err.Error(), "zkmark", name)
		require.NotContains(t, err.Error(), value[3:20], name)
		seen[err.Error()] = name
	}
	require.Len(t, seen, 10, "different causes, different words: %v", seen)
}

// What decoders and encoders on the way make of a body is told from a wrong secret.
func TestReencoded(t *testing.T) {
	t.Parallel()
	lower := strings.NewReplacer("\u0930", `\u0930`, "🚒", `\ud83d\ude92`)
	upper := strings.NewReplacer("\u0930", `\u0930`, "🚒", `\uD83D\uDE92`)
	raw := `{"event":"paid","url":"https://clinic.example/<a>","name":"Asha ` + "\u0930🚒" + ` \"x\"\n\u0001","n":[1.50,{},[]]}`
	var spaced, pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, []byte(raw), "", "  "))
	spaced.WriteString(strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(lower.Replace(raw)))
	var escaped bytes.Buffer
	json.HTMLEscape(&escaped, []byte(raw))
	for sentAs, sent := range map[string]string{
		"plain": raw, "slashes": strings.ReplaceAll(raw, "/", `\/`), "PHP": lower.Replace(strings.ReplaceAll(raw, "/", `\/`)),
		"upper": upper.Replace(raw), "a line": raw + "\n",
	} {
		for arrivedAs, arrived := range map[string]string{
			"pretty": pretty.String(), "Python": spaced.String(), "Go": escaped.String(), "JavaScript": raw + " ", "PHP": lower.Replace(strings.ReplaceAll(raw, "/", `\/`)) + "  ",
		} {
			c := delivery(sent)
			c.Body = []byte(arrived)
			_, err := c.Verify()
			if sentAs == "a line" && arrivedAs != "JavaScript" {
				require.ErrorIs(t, err, telemed.ErrSignature) // both changed: not every pair is tried
				continue
			}
			require.ErrorContains(t, err, "another form", "%s became %s", sentAs, arrivedAs)
		}
	}
}

// Whatever comes, a refusal neither panics nor fits.
func FuzzReasons(f *testing.F) {
	f.Add([]byte(event), []byte(`{"event":"\ud800","a":"\\\"/`))
	f.Add([]byte(`[]`), []byte("\"\x00"))
	f.Fuzz(func(t *testing.T, sent, arrived []byte) {
		c := delivery(string(sent))
		c.Body = arrived
		_, err := c.Verify()
		if (err == nil) != bytes.Equal(sent, arrived) {
			t.Errorf("Verify: %v", err)
		}
	})
}
