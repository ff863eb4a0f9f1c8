// Package roottest has the tests and examples of the root package: there, they could not
// use what stands on it.
package roottest
