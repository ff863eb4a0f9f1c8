package racetest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/racetest"
)

func TestFewer(t *testing.T) {
	t.Parallel()
	want, sample := 100, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	all := sample
	if racetest.Enabled {
		want, sample = 3, []int{0, 8}
	}
	require.Equal(t, want, racetest.Fewer(100, 3))
	require.Equal(t, sample, racetest.Sample(all))
	require.Empty(t, racetest.Sample([]int(nil)))
}
