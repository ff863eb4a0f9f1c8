// Package racetest says how much a test does while the race detector watches, which makes
// everything take about ten times as long.
//
// Random days and schedules are explored without the detector: by go test, and in great
// numbers by the word sim of .ci/run. With it a few are enough, for it looks at how the
// code reaches its memory, and the code is the same in each of them.
package racetest

// Fewer returns plain without the race detector, and watched with it.
func Fewer(plain, watched int) int {
	if Enabled {
		return watched
	}
	return plain
}

// Sample returns all items without the race detector, and with it one of each few, the
// first one among them.
func Sample[T any](items []T) []T {
	if !Enabled {
		return items
	}
	var some []T
	for i := 0; i < len(items); i += few {
		some = append(some, items[i])
	}
	return some
}

// few is of how many items Sample takes one.
const few = 8
