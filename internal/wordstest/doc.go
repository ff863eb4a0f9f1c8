// Package wordstest asks every provider's client for errors while the provider answers
// with a patient's words, and looks for them in whatever an error can be made to say. It
// has tests only, and no concurrency of its own: the race detector, under which they take
// minutes, is spared them.
package wordstest
