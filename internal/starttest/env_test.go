package starttest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/zoom"
)

// reader is a FromEnv with its New.
type reader struct {
	start func(getenv func(string) string) error
	// dir is where FromEnv is declared, below the module's folder.
	dir string
	// required are its variables with values that New takes, by the field that they make.
	required map[string]variable
	// optional likewise; wrong is a value that New does not take.
	optional map[string]variable
}

// variable has a value that New takes, and one that it does not: without a wrong one, it
// takes all.
type variable struct{ field, good, wrong string }

// canary stands in all wrong values, and must not be in an error.
const canary = "CANARY"

var readers = map[string]reader{
	"googlemeet.FromEnv": {
		dir: "meet/googlemeet",
		start: func(getenv func(string) string) error {
			_, err := googlemeet.New(googlemeet.FromEnv(getenv, store.NewMemory()))
			return err
		},
		required: map[string]variable{
			"GOOGLE_CLIENT_ID":     {"ClientID", "id", ""},
			"GOOGLE_CLIENT_SECRET": {"ClientSecret", "secret", ""},
			"GOOGLE_REDIRECT_URI":  {"RedirectURL", "https://clinic.example/callback", "http://CANARY.example"},
		},
		optional: map[string]variable{"GOOGLE_BASE_URL": {"Endpoints", "http://127.0.0.1:1", "http://CANARY.example"}},
	},
	"zoom.FromEnv": {
		dir: "zoom",
		start: func(getenv func(string) string) error {
			_, err := zoom.New(zoom.FromEnv(getenv, store.NewMemory()))
			return err
		},
		required: map[string]variable{
			"ZOOM_CLIENT_ID":     {"ClientID", "id", ""},
			"ZOOM_CLIENT_SECRET": {"ClientSecret", "secret", ""},
			"ZOOM_REDIRECT_URI":  {"RedirectURL", "https://clinic.example/callback", "//CANARY.example"},
		},
		optional: map[string]variable{
			"ZOOM_BASE_URL":       {"Endpoints", "https://proxy.example/zoom", "https://CANARY.example?x"},
			"ZOOM_WEBHOOK_SECRET": {"WebhookSecrets", "secret", ""},
		},
	},
	"razorpay.FromEnv": {
		dir: "payments/razorpay",
		start: func(getenv func(string) string) error {
			_, err := razorpay.New(razorpay.FromEnv(getenv))
			return err
		},
		required: map[string]variable{
			"RAZORPAY_KEY_ID":     {"KeyID", "rzp_test_1", "rzp_CANARY"},
			"RAZORPAY_KEY_SECRET": {"KeySecret", "secret", "CANARY secret"},
		},
		optional: map[string]variable{
			"RAZORPAY_BASE_URL":       {"BaseURL", "http://127.0.0.1:1", "http://CANARY.example"},
			"RAZORPAY_WEBHOOK_SECRET": {"WebhookSecrets[0]", "other", "CANARY\x00"},
		},
	},
	"smtp.FromEnv": {
		dir: "notify/smtp",
		start: func(getenv func(string) string) error {
			_, err := smtp.New(smtp.FromEnv(getenv))
			return err
		},
		required: map[string]variable{
			"EMAIL_HOST": {"Addr", "127.0.0.1", ""},
			"EMAIL_FROM": {"From", "Clinic <care@clinic.example>", "CANARY"},
		},
		optional: map[string]variable{
			"EMAIL_PORT":     {"Addr", "2525", "CANARY"},
			"EMAIL_USER":     {"Username", "care", "CANARY\x00"},
			"EMAIL_PASS":     {"Password", "secret", "CANARY\x00"},
			"EMAIL_SECURITY": {"Security", "starttls", "CANARY"},
			"EMAIL_TLS_CA":   {"TLS", "", "/etc/ssl/CANARY.pem"},
		},
	},
	"whatsapp.FromEnv": {
		dir: "notify/whatsapp",
		start: func(getenv func(string) string) error {
			_, err := whatsapp.New(whatsapp.FromEnv(getenv))
			return err
		},
		required: map[string]variable{
			"WHATSAPP_PHONE_NUMBER_ID": {"PhoneNumberID", "106540352242922", "CANARY"},
			"WHATSAPP_ACCESS_TOKEN":    {"Token", "token", "CANARY token"},
		},
		optional: map[string]variable{
			"WHATSAPP_BUSINESS_ACCOUNT_ID": {"BusinessAccountID", "102290129340398", "CANARY"},
			"WHATSAPP_APP_SECRET":          {"WebhookSecrets", "secret", ""},
			"WHATSAPP_VERIFY_TOKEN":        {"VerifyToken", "token", ""},
			"WHATSAPP_BASE_URL":            {"BaseURL", "https://proxy.example", "http://CANARY.example"},
		},
	},
	"socketio.FromEnv": {
		dir: "realtime/socketio",
		start: func(getenv func(string) string) error {
			nobody := func(context.Context, realtime.Client, string) error { return telemed.ErrForbidden }
			_, err := socketio.New(socketio.FromEnv(getenv, func(*http.Request) (string, error) { return "", nil }, nobody))
			return err
		},
		optional: map[string]variable{
			"CORS_ORIGIN": {"AllowedOrigins", "https://clinic.example, http://localhost:5173,", "https://clinic.example,CANARY.example"},
		},
	},
	"store.KeyringFromEnv": {
		dir: "store",
		start: func(getenv func(string) string) error {
			_, err := store.KeyringFromEnv(getenv, "CLINIC_KEY")
			return err
		},
		required: map[string]variable{"CLINIC_KEY": {"keys", newKey(), "CANARY"}},
	},
}

func newKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

// all returns the variables with good values.
func (r reader) all() map[string]string {
	env := map[string]string{}
	for _, variables := range []map[string]variable{r.required, r.optional} {
		for name, v := range variables {
			env[name] = v.good
		}
	}
	return env
}

func lookup(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func TestEveryFromEnvIsKnown(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, declared(t, reads), slices.Collect(maps.Keys(readers)))
}

// requireNamed looks whether err says of field what to do about which variable, and
// nothing else.
func requireNamed(t *testing.T, err error, field, advice string) {
	t.Helper()
	require.ErrorIs(t, err, telemed.ErrInvalid)
	fields := telemed.Fields(err)
	require.Len(t, fields, 1, "%v", err)
	name, _, _ := strings.Cut(fields[0].Field, "[")
	want, _, _ := strings.Cut(field, "[")
	require.Equal(t, want, name)
	require.True(t, strings.HasSuffix(fields[0].Problem, ": "+advice), "%q does not end with %q", fields[0].Problem, advice)
	require.NotContains(t, err.Error(), canary)
}

func TestVariableThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	for name, r := range readers {
		require.NoError(t, r.start(lookup(r.all())), name)
		for missing, v := range r.required {
			for _, value := range []string{"", " ", "\n"} {
				env := r.all()
				env[missing] = value
				if v.field == "ClientSecret" || v.field == "KeySecret" || v.field == "Token" {
					env[missing] = strings.TrimSpace(value) // a blank may be meant
				}
				requireNamed(t, r.start(lookup(env)), v.field, "set "+missing)
			}
		}
	}
}

func TestVariableThatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	for name, r := range readers {
		for _, variables := range []map[string]variable{r.required, r.optional} {
			for wrong, v := range variables {
				if v.wrong == "" {
					continue
				}
				env := r.all()
				env[wrong] = v.wrong
				advice := "correct " + wrong
				if v.field == "Addr" {
					advice = "correct EMAIL_HOST or EMAIL_PORT"
				}
				t.Run(name+"/"+wrong, func(t *testing.T) { requireNamed(t, r.start(lookup(env)), v.field, advice) })
			}
		}
	}
}

// The optional ones have defaults that New takes, and an environment that is full of
// blanks and line breaks is a good one.
func TestVariablesThatAreNotSetOrUntidy(t *testing.T) {
	t.Parallel()
	for name, r := range readers {
		env := map[string]string{}
		for required, v := range r.required {
			env[required] = v.good
		}
		require.NoError(t, r.start(lookup(env)), name)
		env = r.all()
		for variable, value := range env {
			env[variable] = value + "\r\n"
		}
		require.NoError(t, r.start(lookup(env)), name)
	}
}

// The process may have all of them: FromEnv asks whom it is given, and nobody else.
func TestFromEnvReadsNothingBehindTheBack(t *testing.T) {
	for name, r := range readers {
		for variable, value := range r.all() {
			t.Setenv(variable, value)
		}
		for _, getenv := range []func(string) string{nil, lookup(nil)} {
			err := r.start(getenv)
			if len(r.required) == 0 {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, telemed.ErrInvalid)
			for variable := range r.required {
				require.ErrorContains(t, err, "set "+variable, name)
			}
		}
	}
	_, err := socketio.New(socketio.FromEnv(nil, nil, nil))
	require.Equal(t, "Authorize", telemed.Fields(err)[0].Field)
	for _, err := range []error{
		second(googlemeet.New(googlemeet.FromEnv(nil, nil))), second(zoom.New(zoom.FromEnv(nil, nil))),
	} {
		require.ErrorContains(t, err, "Tokens is required")
		require.Len(t, telemed.Fields(err), 4)
	}
}

func second[T any](_ T, err error) error { return err }

// Each variable that is asked for is one that this test knows, and the doc comment too.
func TestVariablesAreDocumented(t *testing.T) {
	t.Parallel()
	for name, r := range readers {
		asked := map[string]bool{}
		_ = r.start(func(name string) string { asked[name] = true; return "" })
		require.ElementsMatch(t, slices.Collect(maps.Keys(r.all())), slices.Collect(maps.Keys(asked)), name)
		source, err := os.ReadFile(filepath.Join(root, r.dir, "env.go"))
		if r.dir == "store" {
			source, err = os.ReadFile(filepath.Join(root, r.dir, "keyring.go"))
		}
		require.NoError(t, err)
		doc, _, found := strings.Cut(string(source), "\nfunc ")
		if r.dir == "store" {
			doc, found = string(source), true
		}
		require.True(t, found)
		for variable := range asked {
			require.Contains(t, doc, variable, "the comment of %s does not say what %s is", name, variable)
		}
	}
}

// An application composes itself of what there is, and looks at the errors after that: one
// start names all variables, and nothing is called that was not built.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	compose := func(getenv func(string) string) error {
		keyring, err1 := store.KeyringFromEnv(getenv, "CLINIC_KEY")
		rows, err2 := sqlstore.New(sqlstore.Config{DB: new(sql.DB), Dialect: sqlstore.SQLite, Seal: keyring})
		google, err3 := googlemeet.New(googlemeet.FromEnv(getenv, rows))
		meetings, err4 := zoom.New(zoom.FromEnv(getenv, rows))
		gateway, err5 := razorpay.New(razorpay.FromEnv(getenv))
		mail, err6 := smtp.New(smtp.FromEnv(getenv))
		chat, err7 := whatsapp.New(whatsapp.FromEnv(getenv))
		live, err8 := socketio.New(socketio.FromEnv(getenv, nil, func(context.Context, realtime.Client, string) error { return nil }))
		bills, err9 := payments.NewWebhook(payments.WebhookConfig{Parser: gateway, Handle: func(context.Context, payments.Event) error { return nil }})
		_ = chat
		return errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9,
			telemed.Shutdown(time.Minute, live, bills, google, meetings, mail))
	}
	err := compose(nil)
	for _, r := range readers {
		for variable := range r.required {
			require.Equal(t, 1, strings.Count(err.Error(), ": set "+variable), "%s in %v", variable, err)
		}
	}
	require.ErrorContains(t, err, "sqlstore: Seal is a nil *store.Keyring")
	require.ErrorContains(t, err, "Tokens is a nil *sqlstore.Store")
	require.ErrorContains(t, err, "Parser is a nil *razorpay.Client")

	env := map[string]string{}
	for _, r := range readers {
		maps.Copy(env, r.all())
	}
	require.NoError(t, compose(lookup(env)))
}

// No value of a variable makes FromEnv or New panic, or gets into an error.
func FuzzFromEnv(f *testing.F) {
	for _, r := range readers {
		for _, v := range r.optional {
			f.Add(v.good, v.wrong)
		}
	}
	f.Add("[", "::1%")
	f.Add("-----BEGIN CERTIFICATE-----\n", `\n,*,`)
	f.Fuzz(func(t *testing.T, before, after string) {
		value := before + canary + after
		for _, r := range readers {
			err := r.start(func(string) string { return value })
			if err != nil {
				require.ErrorIs(t, err, telemed.ErrInvalid)
				require.NotContains(t, err.Error(), canary)
			}
			for name := range r.all() { // alone, it is not hidden behind the others
				env := r.all()
				env[name] = value
				if err := r.start(lookup(env)); err != nil {
					require.NotContains(t, err.Error(), canary)
				}
			}
		}
	})
}

func TestCertificatesOfAMailServer(t *testing.T) {
	t.Parallel()
	certificate, err := fake.NewCertificate("mail.example")
	require.NoError(t, err)
	env := map[string]string{"EMAIL_HOST": "mail.example", "EMAIL_FROM": "care@clinic.example"}
	for _, text := range []string{string(certificate.PEM()), strings.ReplaceAll(string(certificate.PEM()), "\n", `\n`)} {
		env["EMAIL_TLS_CA"] = text
		cfg := smtp.FromEnv(lookup(env))
		require.True(t, cfg.TLS.RootCAs.Equal(certificate.Client().RootCAs))
		require.NoError(t, second(smtp.New(cfg)))
	}
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(canary)})
	env["EMAIL_TLS_CA"] = string(broken)
	requireNamed(t, second(smtp.New(smtp.FromEnv(lookup(env)))), "TLS", "correct EMAIL_TLS_CA")
	delete(env, "EMAIL_TLS_CA")
	require.Nil(t, smtp.FromEnv(lookup(env)).TLS, "the system's")
}

func Example() {
	env := map[string]string{"ZOOM_CLIENT_ID": "abc", "EMAIL_HOST": "mail.example", "EMAIL_PORT": "twentyfive"}
	_, err := zoom.New(zoom.FromEnv(lookup(env), store.NewMemory()))
	fmt.Println(err)
	_, err = smtp.New(smtp.FromEnv(lookup(env)))
	fmt.Println(err)
	// Output:
	// zoom: ClientSecret is required: set ZOOM_CLIENT_SECRET; RedirectURL is required: set ZOOM_REDIRECT_URI
	// smtp: Addr is not "host:port": correct EMAIL_HOST or EMAIL_PORT; From is required: set EMAIL_FROM
}
