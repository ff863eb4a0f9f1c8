package realtime

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
)

// Where somebody is always about to be let in, what was kicked before is forgotten all the
// same, and each call knows of the kicks in its time and of no others.
func TestDecisionsForget(t *testing.T) {
	t.Parallel()
	var d decisions
	first := d.beginLocked()
	for n := range 10_000 {
		second, room := d.beginLocked(), fmt.Sprint(n)
		d.kickedLocked(room, telemed.ErrForbidden)
		third := d.beginLocked()
		d.endLocked(first)
		require.ErrorIs(t, d.sinceLocked(second, room), telemed.ErrForbidden)
		require.NoError(t, d.sinceLocked(third, room))
		d.kickedLocked("both", telemed.ErrUnavailable)
		require.ErrorIs(t, d.sinceLocked(second, "both"), telemed.ErrUnavailable)
		require.ErrorIs(t, d.sinceLocked(third, "both"), telemed.ErrUnavailable)
		d.kickedLocked(room, telemed.ErrUnavailable)
		require.ErrorIs(t, d.sinceLocked(second, room), telemed.ErrForbidden, "a doubt does not lift it")
		d.endLocked(second)
		first = third
		require.Less(t, len(d.kicks), 10)
	}
	d.endLocked(first)
	require.Nil(t, d.kicks)
	d.kickedLocked("nobody asks", telemed.ErrForbidden)
	require.Nil(t, d.kicks)
}
