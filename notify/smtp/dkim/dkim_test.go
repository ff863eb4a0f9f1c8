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
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// scan is a file of so many bytes that is opened when it is read.
func scan(size int) notify.File {
	return notify.File{Name: "scan.pdf", ContentType: "application/pdf", Size: int64(size), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(make([]byte, size))), nil
	}}
}

// arrived are signed mails as a server gets them: short and long ones, with files in memory
// and such that are opened, with copies and an image in the HTML, by BDAT and by DATA.
func arrived(t *testing.T) ([]smtptest.Message, func(string) ([]string, error)) {
	t.Helper()
	rsaKey, edKey, lookup := keys(t)
	signer, err := dkim.New("clinic.example", dkim.Key{Selector: "r", PEM: rsaKey}, dkim.Key{Selector: "e", PEM: edKey})
	require.NoError(t, err)
	fake := smtptest.NewServer(t)
	sent := 0
	for _, data := range []bool{false, true} {
		client, err := smtp.New(smtp.Config{
			Addr: fake.Addr(), From: "Clinic <care@clinic.example>", TLS: fake.ClientTLS(), Sign: signer.Sign, DisableChunking: data,
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, client.Shutdown(context.Background())) })
		for _, size := range []int{0, 10, 48 << 10, 200 << 10} {
			for _, file := range []notify.File{{Name: "scan.pdf", ContentType: "application/pdf", Data: make([]byte, size+1)}, scan(size)} {
				_, err := client.Notify(t.Context(), notify.Message{
					Key: "signed", To: notify.Recipient{Name: "आशा", Email: "asha@example.org"},
					Content: &notify.Content{
						Subject: "पुष्टि", Text: ".\nSee you.\n\n\n", HTML: `<p><img src="cid:logo"></p>`,
						Files: []notify.File{file, {Name: "logo.png", ContentType: "image/png", Data: []byte("png"), ContentID: "logo"}},
					},
					Mail: &notify.Mail{Cc: []notify.Recipient{{Name: "रवि", Email: "ravi@bücher.example"}}, Unsubscribe: []string{"https://clinic.example/u"}, OneClick: true},
				})
				require.NoError(t, err)
				sent++
			}
		}
	}
	require.Len(t, fake.Messages(), sent)
	return fake.Messages(), lookup
}

// Both signatures of what arrives hold, short or long, and no longer once a field that a
// person sees is changed or added.
func TestSignedMail(t *testing.T) {
	t.Parallel()
	all, lookup := arrived(t)
	for _, message := range all {
		require.Equal(t, 2, valid(t, message.Raw, lookup))
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

// TestMailauth: a verifier that shares no code with the signer says that each signature of
// what arrives holds.
func TestMailauth(t *testing.T) {
	t.Parallel()
	if os.Getenv("TELEMED_NODE_MODULES") == "" {
		t.Skip("TELEMED_NODE_MODULES is not set: it names a node_modules folder that holds mailauth. " +
			"With it this test proves that npm's mailauth takes the signatures for valid")
	}
	all, lookup := arrived(t)
	records := map[string]string{}
	for _, name := range []string{"r._domainkey.clinic.example", "e._domainkey.clinic.example"} {
		found, err := lookup(name)
		require.NoError(t, err)
		records[name] = found[0]
	}
	text, err := json.Marshal(records)
	require.NoError(t, err)
	args := []string{filepath.Join("testdata", "verify.cjs"), filepath.Join(t.TempDir(), "dns")}
	require.NoError(t, os.WriteFile(args[1], text, 0o600))
	want := map[string]int{"pass rsa-sha256": len(all), "pass ed25519-sha256": len(all)}
	forged := bytes.Replace(all[0].Raw, []byte("See you"), []byte("See me."), 1)
	want["neutral rsa-sha256"], want["neutral ed25519-sha256"] = 1, 1
	for i, raw := range append(raws(all), forged) {
		mail := filepath.Join(t.TempDir(), "mail"+strconv.Itoa(i))
		require.NoError(t, os.WriteFile(mail, raw, 0o600))
		args = append(args, mail)
	}
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	got := map[string]int{}
	for line := range strings.Lines(string(out)) {
		got[strings.TrimSpace(line)]++
	}
	require.Equal(t, want, got)
}

func raws(all []smtptest.Message) (raw [][]byte) {
	for _, message := range all {
		raw = append(raw, message.Raw)
	}
	return raw
}

// No way to print a Signer shows a key.
func TestSignerIsPrintedWithoutItsKeys(t *testing.T) {
	t.Parallel()
	_, edKey, _ := keys(t)
	signer, err := dkim.New("clinic.example", dkim.Key{Selector: "e", PEM: edKey})
	require.NoError(t, err)
	block, _ := pem.Decode([]byte(edKey.Reveal()))
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	seed := private.(ed25519.PrivateKey).Seed()
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		var bytesOf []byte
		for _, printed := range []any{signer, *signer} {
			bytesOf = fmt.Append(bytesOf, fmt.Sprintf(verb, printed))
		}
		for _, leak := range []any{seed[:8], string(seed[:8])} {
			text := strings.Trim(fmt.Sprintf(verb, leak), `[]"`)
			text = strings.TrimSuffix(strings.TrimPrefix(text, "[]byte{"), "}")
			require.NotContains(t, string(bytesOf), text, verb)
		}
	}
}
