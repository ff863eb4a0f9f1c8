package store_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// A new key is put in front of the old one, with a comma between. In an application getenv
// is os.Getenv.
func ExampleKeyringFromEnv() {
	// From openssl rand -base64 32.
	env := map[string]string{"CLINIC_KEY": "q0Jf1dYmS0Yb1m0m3W9xk8o8o0yqQ3s0n1xJ1w2v3u4="}
	getenv := func(name string) string { return env[name] }
	old, err := store.KeyringFromEnv(getenv, "CLINIC_KEY")
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed, _ := old.Encrypt([]byte("a name"), nil)

	env["CLINIC_KEY"] = "3vQxkP0hN5b8T1c4Zr7Lw2mYg9Ue6Ja0sDfKiXoBtVE=," + env["CLINIC_KEY"]
	both, err := store.KeyringFromEnv(getenv, "CLINIC_KEY")
	if err != nil {
		fmt.Println(err)
		return
	}
	opened, err := both.Decrypt(sealed, nil)
	fmt.Println(string(opened), err)

	_, err = store.KeyringFromEnv(getenv, "CLINIC_KEYS")
	fmt.Println(err)
	// Output:
	// a name <nil>
	// store: keyring: keys are required (openssl rand -base64 32): set CLINIC_KEYS
}

// Each way to write a key in base64 is the same key.
func TestKeyringFromEnvTakesAllBase64(t *testing.T) {
	t.Parallel()
	key := []byte(strings.Repeat("\xfb\xef\xff", 10) + "\x00\x01") // has + and / in it, or - and _
	ring, err := store.NewKeyring(telemed.NewSecret(base64.StdEncoding.EncodeToString(key)))
	require.NoError(t, err)
	sealed, err := ring.Encrypt([]byte("Asha"), []byte("dr-rao"))
	require.NoError(t, err)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		text := encoding.EncodeToString(key)
		for _, value := range []string{text, " " + text + "\n", text + ",", store.NewKey().Reveal() + " , " + text} {
			ring, err := store.KeyringFromEnv(func(string) string { return value }, "CLINIC_KEY")
			require.NoError(t, err)
			opened, err := ring.Decrypt(sealed, []byte("dr-rao"))
			require.NoError(t, err)
			require.Equal(t, "Asha", string(opened))
		}
	}
}

// The first key seals: the others alone do not open it.
func TestKeyringFromEnvSealsWithTheFirst(t *testing.T) {
	t.Parallel()
	first, second := store.NewKey().Reveal(), store.NewKey().Reveal()
	ring := func(keys ...string) *store.Keyring {
		ring, err := store.KeyringFromEnv(func(string) string { return strings.Join(keys, ",") }, "CLINIC_KEY")
		require.NoError(t, err)
		return ring
	}
	sealed, err := ring(first, second).Encrypt([]byte("Asha"), nil)
	require.NoError(t, err)
	_, err = ring(second).Decrypt(sealed, nil)
	require.ErrorIs(t, err, telemed.ErrDecrypt)
	_, err = ring(second, first).Decrypt(sealed, nil)
	require.NoError(t, err)
}

// What is wrong is said with the variable and the way to a key, never with a key.
func TestKeyringFromEnvNamesTheVariable(t *testing.T) {
	t.Parallel()
	good := store.NewKey().Reveal()
	same := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for value, want := range map[string]string{
		"":                      "keys are required (openssl rand -base64 32): set CLINIC_KEY",
		" ,\n":                  "keys are required (openssl rand -base64 32): correct CLINIC_KEY",
		"Lotus-Clinic-2026":     "keys[0] is not 32 bytes in base64 (openssl rand -base64 32): correct CLINIC_KEY",
		good[:40]:               "keys[0] is not 32 bytes in base64 (openssl rand -base64 32): correct CLINIC_KEY",
		good + ",Lotus Clinic!": "keys[1] is not 32 bytes in base64 (openssl rand -base64 32): correct CLINIC_KEY",
		good + "," + good:       "keys[1] is there twice: correct CLINIC_KEY",
		good + "\n" + good:      "keys[0] is not 32 bytes in base64 (openssl rand -base64 32): correct CLINIC_KEY",
		same:                    "keys[0] is one byte over and over, and no secret: correct CLINIC_KEY",
	} {
		_, err := store.KeyringFromEnv(func(name string) string { return map[string]string{"CLINIC_KEY": value}[name] }, "CLINIC_KEY")
		require.ErrorIs(t, err, telemed.ErrInvalid)
		require.EqualError(t, err, "store: keyring: "+want)
	}
	_, err := store.KeyringFromEnv(nil, "CLINIC_KEY")
	require.ErrorContains(t, err, "set CLINIC_KEY")
	_, err = store.KeyringFromEnv(func(string) string { return good }, "")
	require.EqualError(t, err, "store: keyring: name is required")
}
