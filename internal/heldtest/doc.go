// Package heldtest sends every handler of this module the head of a request and half of
// its body, and looks whether the connection is given up. It has tests only.
package heldtest
