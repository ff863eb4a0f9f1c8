// Package visittest explores what becomes of visits when processes die.
package visittest
