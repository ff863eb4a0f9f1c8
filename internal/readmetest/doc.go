// Package readmetest holds what the README says to the truth: its Go blocks compile, its
// table names every package. It has tests only.
package readmetest
