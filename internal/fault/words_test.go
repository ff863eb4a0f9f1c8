package fault_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

func TestWords(t *testing.T) {
	t.Parallel()
	words := fault.NewWords("one two", "three\n\tfour")
	for _, word := range []string{"one", "two", "three", "four"} {
		require.Equal(t, word, words.Known(word))
	}
	for _, word := range []string{"", "One", "asha_verma", "one two", "five"} {
		require.Empty(t, words.Known(word))
	}
}

func TestRandomID(t *testing.T) {
	t.Parallel()
	printed := 0 // not each one: some look like words
	for range 100 {
		id := make([]byte, 16)
		_, _ = rand.Read(id)
		zoom := "v=2.0;clid=us06;rid=WEB_" + hex.EncodeToString(id)
		if fault.RandomID(zoom) == zoom {
			printed++
		}
	}
	require.Greater(t, printed, 80)
	for _, id := range []string{"AXkQ3T1pRqjZdZ7hVJYd0gk", "req_Jv4BzQ7oTm2QNF", "A1b2C3d4E5f6"} {
		require.Equal(t, id, fault.RandomID(id))
	}
	for _, word := range []string{
		"", "Asha", "CANARY-Asha-Verma", "asha.verma.1985", "AshaVermaDevi", "919812345678", "+919812345678", "asha1985verma",
		"v=2.0;rid=CANARY_asha", "v=2.0;rid=WEB_ashaverma", "ashaverma-A1b2C3d4E5f6", "req_1", "A1b2C3d4E5 f6", "asha@A1b2C3d4E5f6",
	} {
		require.Empty(t, fault.RandomID(word), word)
	}
}

// What is known of a cause is found, and what was said of it is not.
func TestCause(t *testing.T) {
	t.Parallel()
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.EOF, syscall.ECONNREFUSED, telemed.ErrDecrypt} {
		cause := fault.Cause(fmt.Errorf("Duplicate entry 'asha': %w", known))
		require.ErrorIs(t, cause, known)
		require.NotContains(t, cause.Error(), "asha")
	}
	both := fault.Cause(errors.Join(telemed.ErrDecrypt, fmt.Errorf("asha: %w", context.Canceled)))
	require.ErrorIs(t, both, telemed.ErrDecrypt)
	require.ErrorIs(t, both, context.Canceled)
	require.NotContains(t, both.Error(), "asha")
	require.NoError(t, fault.Cause(errors.New("Duplicate entry 'asha'")))
	require.NoError(t, fault.Cause(nil))
}
