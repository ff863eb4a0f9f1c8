package realtime

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Where somebody is always about to be let in, what was kicked before is forgotten all the
// same, and each call knows of the kicks in its time and of no others.
func TestDecisionsForget(t *testing.T) {
	t.Parallel()
	var d decisions
	first := d.beginLocked()
	for n := range 10_000 {
		second := d.beginLocked()
		d.kickedLocked(fmt.Sprint(n))
		third := d.beginLocked()
		d.endLocked(first)
		require.Equal(t, []string{fmt.Sprint(n)}, d.sinceLocked(second))
		require.Empty(t, d.sinceLocked(third))
		d.kickedLocked("both")
		require.Equal(t, []string{fmt.Sprint(n), "both"}, d.sinceLocked(second))
		require.Equal(t, []string{"both"}, d.sinceLocked(third))
		d.endLocked(second)
		first = third
		require.Less(t, len(d.rooms), 10)
	}
	d.endLocked(first)
	require.Nil(t, d.rooms)
	d.kickedLocked("nobody asks")
	require.Nil(t, d.rooms)
}
