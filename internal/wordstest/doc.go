// Package wordstest asks every provider's client for errors while the provider answers
// with a patient's words, and looks for them in whatever an error can be made to say. It
// has tests only.
package wordstest
