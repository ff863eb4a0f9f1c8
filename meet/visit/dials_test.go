package visit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/visit"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/store/durable"
)

// Who is let through can be written to: the templates refuse the same names.
func TestNamesThatNoMessageCanSay(t *testing.T) {
	story(t, nil, func(c *clinic) {
		for _, name := range []string{"Asha \u202everma", "Asha \u2066Verma", "Asha\u2028Verma", "Asha\nVerma", "Asha\u0085"} {
			req := request(theVisit)
			req.Patient.Name = name
			require.ErrorIs(c, c.Book(c.Context(), req), telemed.ErrInvalid, "%q", name)
		}
	})
}

// The messages of a visit can be followed, before there are any too.
func TestMessages(t *testing.T) {
	story(t, func(cfg *visit.Config) { cfg.Spacing = time.Second }, func(c *clinic) {
		_, err := c.Messages(c.Context(), theVisit)
		require.ErrorIs(c, err, telemed.ErrNotFound)
		require.NoError(c, c.Book(c.Context(), request(theVisit)))
		all, err := c.Messages(c.Context(), theVisit)
		require.NoError(c, err)
		require.Empty(c, all)
		c.pay(theVisit)
		c.wait(8 * time.Second) // four messages, a second apart
		all, err = c.Messages(c.Context(), theVisit)
		require.NoError(c, err)
		states := map[string]outbox.State{}
		for _, m := range all {
			states[m.Key] = m.State
		}
		require.Equal(c, map[string]outbox.State{
			"receipt": outbox.Sent, "booked/1/email": outbox.Sent, "booked/1/whatsapp": outbox.Sent, "doctor/1": outbox.Sent,
			"reminder/1/24h0m0s": outbox.Due, "reminder/1/1h0m0s": outbox.Due,
		}, states)
	})
}

func TestDialsThatDoNotFit(t *testing.T) {
	t.Parallel()
	_, err := visit.New(visit.Config{
		Store: durable.NewMemory(), Clinic: "Lotus Clinic", Zone: "Asia/Kolkata", Grace: time.Minute, EvidenceWait: time.Minute, Spacing: -1,
	})
	require.ErrorContains(t, err, "EvidenceWait is less than twice Grace")
	require.ErrorContains(t, err, "Spacing is negative")
}
