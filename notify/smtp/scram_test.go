package smtp

import (
	"bufio"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xdg-go/scram"

	"github.com/telemed-go/telemed"
)

// The example of https://www.rfc-editor.org/rfc/rfc7677#section-3, by turns.
var rfc7677 = []string{
	"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
}

// TestRFC7677 has the client say what the RFC's client says, byte by byte. It takes the
// server's signature of the RFC, and none that is another, cut short, or comes after the yes.
func TestRFC7677(t *testing.T) {
	t.Parallel()
	wrong := "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	for name, c := range map[string]struct {
		last []string // the server's answers to the proof and to what follows
		ok   bool
	}{
		"right":           {[]string{"334 " + encode(rfc7677[3]), "235 2.7.0 welcome"}, true},
		"right, then no":  {[]string{"334 " + encode(rfc7677[3]), "535 5.7.8 no"}, false},
		"wrong signature": {[]string{"334 " + encode(wrong), "235 2.7.0 welcome"}, false},
		"half of it":      {[]string{"334 " + encode(rfc7677[3][:20]), "235 2.7.0 welcome"}, false},
		"none":            {[]string{"235 2.7.0 welcome"}, false},
		"an empty one":    {[]string{"334 ", "235 2.7.0 welcome"}, false},
		"its error":       {[]string{"334 " + encode("e=other-error"), "235 2.7.0 welcome"}, false},
		"with the yes":    {[]string{"235 " + encode(rfc7677[3])}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := net.Pipe()
			answers := append([]string{"334 " + encode(rfc7677[1])}, c.last...)
			heard := make(chan []string, 1)
			go func() {
				var lines []string
				for r := bufio.NewReader(far); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						break
					}
					lines = append(lines, strings.TrimRight(line, "\r\n"))
					if len(lines) <= len(answers) {
						_, _ = io.WriteString(far, answers[len(lines)-1]+"\r\n")
					}
				}
				heard <- lines
			}()
			prover, err := scram.SHA256.NewClient("user", "pencil", "")
			require.NoError(t, err)
			prover.WithNonceGenerator(func() string { return "rOprNGfwEbeRWgbNEkqO" })
			k := &conn{client: &Client{cfg: Config{CommandTimeout: time.Minute}}, raw: &gate{Conn: near}, tls: true}
			k.attach(near)
			err = k.scram(t.Context(), prover.NewConversation())
			require.NoError(t, near.Close())
			lines := <-heard
			require.Equal(t, []string{"AUTH SCRAM-SHA-256 " + encode(rfc7677[0]), encode(rfc7677[2])}, lines[:2])
			require.False(t, slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "AUTH PLAIN") }))
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, "", lines[2], "the signature is heard")
				return
			}
			require.ErrorIs(t, err, telemed.ErrUnauthorized)
		})
	}
}
