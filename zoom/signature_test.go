package zoom_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/zoom"
)

// signatureVector is for iat 1646937553 and two hours, checked with another JWT
// implementation.
const signatureVector = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." +
	"eyJhcHBLZXkiOiJhYmMxMjMiLCJtbiI6IjEyMzQ1Njc4OSIsInJvbGUiOjAsImlhdCI6MTY0NjkzNzU1MywiZXhwIjoxNjQ2OTQ0NzUzLCJ0b2tlbkV4cCI6MTY0Njk0NDc1M30." +
	"XwpT4ru21NrtkEfYyFSYq1aZuRhunANdyaK0DK952lM"

func TestMeetingSignature(t *testing.T) {
	t.Parallel()
	req := zoom.SignatureRequest{ClientID: "abc123", ClientSecret: telemed.NewSecret("s3cr3t"), MeetingID: "123456789"}
	t.Run("vector", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Unix(1646937553+30, 0)))
			signature, err := zoom.MeetingSignature(req)
			require.NoError(t, err)
			require.Equal(t, signatureVector, signature.Reveal())
			require.NotContains(t, fmt.Sprintf("%v %#v", signature, signature), "eyJ")
		})
	})
	t.Run("bounds", func(t *testing.T) {
		t.Parallel()
		for _, valid := range []time.Duration{30 * time.Minute, 48 * time.Hour} {
			good := req
			good.ValidFor = valid
			_, err := zoom.MeetingSignature(good)
			require.NoError(t, err)
		}
		for _, valid := range []time.Duration{-time.Hour, 30*time.Minute - 1, 48*time.Hour + 1} {
			bad := req
			bad.ValidFor = valid
			_, err := zoom.MeetingSignature(bad)
			require.ErrorIs(t, err, telemed.ErrInvalid)
		}
	})
	t.Run("names everything", func(t *testing.T) {
		t.Parallel()
		_, err := zoom.MeetingSignature(zoom.SignatureRequest{MeetingID: "tm2", Role: 2, ValidFor: time.Second})
		for _, field := range []string{"ClientID", "ClientSecret", "MeetingID", "Role", "ValidFor"} {
			require.ErrorContains(t, err, field+" ")
		}
	})
}
