package fake

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/telemed-go/telemed/internal/fault"
)

// RequestID returns prefix and 32 random hex digits. They always look random to
// fault.RandomID, which drops one in a thousand: a test that compares the id of an error
// would fail as often.
func RequestID(prefix string) string {
	for {
		random := make([]byte, 16)
		_, _ = rand.Read(random) // never fails
		if id := prefix + hex.EncodeToString(random); fault.RandomID(id) != "" {
			return id
		}
	}
}
