package zoom

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
)

// defaultSettings are those of a medical consultation: nobody enters before the doctor
// lets them in, nothing of it is kept, and Zoom writes to nobody.
func defaultSettings() map[string]any {
	return map[string]any{
		"waiting_room":           true,
		"waiting_room_options":   map[string]any{"mode": "custom", "who_goes_to_waiting_room": "everyone"},
		"join_before_host":       false,
		"use_pmi":                false, // the doctor's personal room: the next patient would walk in
		"approval_type":          2,     // no registration
		"meeting_authentication": false, // patients have no Zoom login

		"auto_recording":                    "none",
		"auto_start_meeting_summary":        false,
		"auto_start_ai_companion_questions": false,
		"continuous_meeting_chat":           map[string]any{"enable": false},
		"encryption_type":                   "enhanced_encryption",
		"private_meeting":                   true,

		"email_notification":                   false,
		"alternative_hosts_email_notification": false,
		"registrants_email_notification":       false,
		"registrants_confirmation_email":       false,

		"host_video":        true,
		"participant_video": true,
		"mute_upon_entry":   false,
	}
}

// mergedSettings returns the defaults under the application's own settings, in the form
// that decoded JSON has. A nil value leaves a default out.
func mergedSettings(own map[string]any) (map[string]any, error) {
	merged := defaultSettings()
	maps.Copy(merged, own)
	maps.DeleteFunc(merged, func(_ string, value any) bool { return value == nil })
	encoded, err := json.Marshal(merged)
	if err != nil {
		return nil, err
	}
	var settings map[string]any
	return settings, json.Unmarshal(encoded, &settings)
}

// guarded are the settings without which a meeting must not be given to a patient, and
// the safest value of each.
var guarded = []struct {
	name   string
	safest any
}{
	{"waiting_room", true},
	{"join_before_host", false},
	{"use_pmi", false},
	{"auto_recording", "none"},
	{"auto_start_meeting_summary", false},
	{"auto_start_ai_companion_questions", false},
	{"encryption_type", "e2ee"},
}

// passcode is what AcceptLocked calls a meeting without one.
const passcode = "password"

func isGuarded(name string) bool {
	if name == passcode {
		return true
	}
	for _, setting := range guarded {
		if setting.name == name {
			return true
		}
	}
	return false
}

// The characters of a passcode, without those that look alike. Accounts can demand one of
// each kind.
const (
	upper  = "ABCDEFGHJKLMNPQRSTUVWXYZ"
	lower  = "abcdefghijkmnpqrstuvwxyz"
	digit  = "23456789"
	symbol = "@*"
)

// newPasscode returns a random passcode of ten characters, Zoom's longest, with 39 bits.
// Each place has its kind, so that every kind is there and no two neighbours are alike.
func newPasscode() string {
	var b strings.Builder
	for _, from := range []string{upper, lower, digit, upper, lower, digit, symbol, lower, upper, digit} {
		b.WriteByte(pick(from))
	}
	return b.String()
}

func pick(from string) byte {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(from))))
	if err != nil {
		panic(err) // crypto/rand never fails since Go 1.24
	}
	return from[n.Int64()]
}
