// Package readmetest holds what the pages for people say to the truth: what they link to and
// show is there, every package is in the table, every question has an answer. It has tests
// only.
package readmetest
