//go:build !race

package razorpay_test

const raceEnabled = false
