package dkim_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/smtp/dkim"
	"github.com/telemed-go/telemed/notify/smtp/smtptest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func keys(t *testing.T) (rsaKey, edKey telemed.Secret, lookup func(string) ([]string, error)) {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, e, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(r.Public())
	require.NoError(t, err)
	records := map[string]string{
		"r._domainkey.clinic.example": "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der),
		"e._domainkey.clinic.example": "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public),
	}
	return inPEM(t, r), inPEM(t, e), func(name string) ([]string, error) { return []string{records[name]}, nil }
}

func inPEM(t *testing.T, key any) telemed.Secret {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return telemed.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// Both signatures of what arrives hold, short or long, and no longer once a field that a
// person sees is changed or added.
func TestSignedMail(t *testing.T) {
	t.Parallel()
	rsaKey, edKey, lookup := keys(t)
	signer, err := dkim.New("clinic.example", dkim.Key{Selector: "r", PEM: rsaKey}, dkim.Key{Selector: "e", PEM: edKey})
	require.NoError(t, err)
	fake := smtptest.NewServer(t)
	client, err := smtp.New(smtp.Config{Addr: fake.Addr(), From: "Clinic <care@clinic.example>", TLS: fake.ClientTLS(), Sign: signer.Sign})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Shutdown(context.Background())) })
	for _, size := range []int{0, 10, 200 << 10} {
		_, err := client.Notify(t.Context(), notify.Message{
			Key: "signed", To: notify.Recipient{Name: "आशा", Email: "asha@example.org"},
			Content: &notify.Content{
				Subject: "पुष्टि", Text: ".\nSee you.\n\n\n",
				Files: []notify.File{{Name: "scan.pdf", ContentType: "application/pdf", Data: make([]byte, size+1)}},
			},
		})
		require.NoError(t, err)
	}
	require.Len(t, fake.Messages(), 3)
	for _, message := range fake.Messages() {
		require.Equal(t, 2, valid(t, message.Raw, lookup))
		judged(t, message.Raw, lookup)
		for _, field := range []string{"From", "To", "Subject", "Reply-To", "List-Unsubscribe", "List-Unsubscribe-Post"} {
			require.Zero(t, valid(t, append([]byte(field+": x@evil.example\r\n"), message.Raw...), lookup), field)
		}
		changed := bytes.Replace(message.Raw, []byte("See you"), []byte("See me."), 1)
		require.NotEqual(t, message.Raw, changed)
		require.Zero(t, valid(t, changed, lookup))
	}
}

func valid(t *testing.T, raw []byte, lookup func(string) ([]string, error)) (n int) {
	t.Helper()
	found, err := msgauth.VerifyWithOptions(bytes.NewReader(raw), &msgauth.VerifyOptions{LookupTXT: lookup})
	require.NoError(t, err)
	require.Len(t, found, 2)
	for _, v := range found {
		if v.Err == nil {
			n++
		}
	}
	return n
}

func TestKeys(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	for problem, key := range map[string]dkim.Key{
		"2048 bits":     {Selector: "s", PEM: inPEM(t, small)},
		"not a key":     {Selector: "s", PEM: telemed.NewSecret("hunter2")},
		"Keys[0].Selec": {Selector: "a; d=evil", PEM: telemed.NewSecret("")},
	} {
		_, err := dkim.New("clinic.example", key)
		require.ErrorIs(t, err, telemed.ErrInvalid)
		require.ErrorContains(t, err, problem)
		require.False(t, strings.Contains(err.Error(), "hunter2"))
	}
}

// judged asks a verifier that shares no code with the signer.
func judged(t *testing.T, raw []byte, lookup func(string) ([]string, error)) {
	t.Helper()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Log("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds mailauth 4")
		return
	}
	records := map[string]string{}
	for _, name := range []string{"r._domainkey.clinic.example", "e._domainkey.clinic.example"} {
		found, err := lookup(name)
		require.NoError(t, err)
		records[name] = found[0]
	}
	text, err := json.Marshal(records)
	require.NoError(t, err)
	folder := t.TempDir()
	mail, dns := filepath.Join(folder, "mail"), filepath.Join(folder, "dns")
	require.NoError(t, os.WriteFile(mail, raw, 0o600))
	require.NoError(t, os.WriteFile(dns, text, 0o600))
	cmd := exec.CommandContext(t.Context(), "node", "testdata/verify.cjs", mail, dns)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"pass rsa-sha256", "pass ed25519-sha256"}, strings.Split(strings.TrimSpace(string(out)), "\n"))
}
