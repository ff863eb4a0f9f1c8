// Package signature makes and checks HMAC-SHA256 signatures in hexadecimal, as Razorpay,
// Zoom and Meta use them, and says what is likely wrong with one that does not fit.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// Hex returns the lower-case hexadecimal HMAC-SHA256 of message under key.
func Hex(key, message []byte) string {
	return hex.EncodeToString(sum(key, message))
}

// Valid reports whether signature is the hexadecimal HMAC-SHA256 of message
// under any of keys, compared in constant time. An empty key never fits: with
// it, anybody could sign. Upper- and lower-case digits are accepted.
func Valid(signature string, message []byte, keys ...[]byte) bool {
	given, err := hex.DecodeString(signature)
	if err != nil || len(given) != sha256.Size {
		return false
	}
	valid := false
	for _, key := range keys {
		if len(key) > 0 && hmac.Equal(given, sum(key, message)) {
			valid = true
		}
	}
	return valid
}

func sum(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)
}
