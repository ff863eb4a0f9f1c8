// Package nodetest runs a backend in Node.js, as hospitals have them, against the fakes:
// with Google's and Razorpay's own libraries, fetch, nodemailer and axios. It has tests
// only.
package nodetest
