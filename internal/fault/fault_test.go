package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

func TestProblems(t *testing.T) {
	t.Parallel()

	t.Run("none is nil", func(t *testing.T) {
		t.Parallel()
		var p fault.Problems
		p.Required("Key", "appt-1")
		require.NoError(t, p.Err("meet"))
	})

	t.Run("all are named on one line", func(t *testing.T) {
		t.Parallel()
		var p fault.Problems
		p.Required("Key", "")
		p.Check(false, "Start", "is in the past")
		err := fmt.Errorf("zoom: Create: %w", p.Err("request"))
		require.EqualError(t, err, "zoom: Create: request: Key is required; Start is in the past")
		require.ErrorIs(t, err, telemed.ErrInvalid)
		field, ok := errors.AsType[*telemed.FieldError](err)
		require.True(t, ok)
		require.Equal(t, "Key", field.Field)
		require.Len(t, telemed.Fields(err), 2)
		require.Equal(t, "Start", telemed.Fields(err)[1].Field)
	})

	t.Run("fields of other errors", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, telemed.Fields(nil))
		require.Empty(t, telemed.Fields(errors.New("x")))
	})
}

func TestTagged(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	err := fault.Tagged(telemed.ErrAmbiguous, cause)
	require.EqualError(t, err, "connection reset")
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, telemed.ErrAmbiguous)
	require.NoError(t, fault.Tagged(telemed.ErrAmbiguous, nil))
}
