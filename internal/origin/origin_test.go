package origin_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/origin"
)

func rules(t *testing.T, cfg origin.Config) *origin.Rules {
	t.Helper()
	var p fault.Problems
	made := origin.New(&p, cfg)
	require.NoError(t, p.Err("test"))
	return made
}

func TestOf(t *testing.T) {
	t.Parallel()
	listed := origin.Config{AllowedOrigins: []string{"https://Clinic.example:443"}}
	for _, test := range []struct {
		cfg    origin.Config
		origin []string
		site   string // Sec-Fetch-Site
		want   origin.Caller
	}{
		{listed, []string{"https://clinic.example"}, "", origin.Listed},
		{listed, []string{"http://clinic.example"}, "", origin.Refused},
		{listed, []string{"https://clinic.example.evil.test"}, "", origin.Refused},
		{listed, []string{"https://clinic.example", "https://clinic.example"}, "", origin.Refused},
		{listed, []string{"null"}, "", origin.Refused},
		{listed, []string{"http://own.example"}, "", origin.Own},
		{listed, nil, "", origin.Own},
		{listed, nil, "cross-site", origin.Refused},
		{origin.Config{AllowAnyOrigin: true}, []string{"https://evil.test"}, "", origin.Foreign},
	} {
		r := httptest.NewRequest("GET", "http://own.example/", nil)
		r.Header["Origin"] = test.origin
		if test.site != "" {
			r.Header.Set("Sec-Fetch-Site", test.site)
		}
		require.Equal(t, test.want, rules(t, test.cfg).Of(r), "%v %s", test.origin, test.site)
	}
}

func TestKnowsHost(t *testing.T) {
	t.Parallel()
	cfg := origin.Config{AllowedHosts: []string{"clinic.example", "other.example:8443"}}
	for host, want := range map[string]bool{
		"clinic.example": true, "CLINIC.example.": true, "clinic.example:8443": true, "other.example:8443": true,
		"other.example": false, "evil.test": false, "": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		require.Equal(t, want, rules(t, cfg).KnowsHost(r), host)
	}
}

// What a log holds of a request has the form of an origin and of a host, or says that it has not.
func TestShown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "https://Clinic.example:443": "https://clinic.example", "Asha Verma": "unreadable", "https://x.example/Asha": "unreadable",
		"https://asha@x.example": "unreadable", "https://" + strings.Repeat("x", 300): "unreadable",
	} {
		r := httptest.NewRequest("GET", "http://own.example:8080/", nil)
		r.Header.Set("Origin", text)
		page, host := origin.Shown(r)
		require.Equal(t, want, page, text)
		require.Equal(t, "own.example:8080", host)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	var p fault.Problems
	origin.New(&p, origin.Config{AllowedOrigins: []string{"https://*.example", "https://आशा.example"}, AllowedHosts: []string{"https://x.example"}})
	err := p.Err("test")
	require.ErrorContains(t, err, "AllowedOrigins")
	require.ErrorContains(t, err, "AllowedHosts")
}
