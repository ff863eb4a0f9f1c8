// Package tasks answers "how do I …": each file is one task from its beginning to its end,
// as an Example whose output is checked. It has tests only.
//
//	go test ./examples/tasks -v -run Example_visit
package tasks
