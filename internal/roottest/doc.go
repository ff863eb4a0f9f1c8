// Package roottest has the tests and examples of the root package, whose only file is
// doc.go.
package roottest
