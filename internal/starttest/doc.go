// Package starttest starts every part of this module with nothing, with half of what it
// needs and with what cannot be, and looks whether it says so. It has tests only.
package starttest
