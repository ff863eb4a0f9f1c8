package connect

import (
	"errors"
	"fmt"
	"log/slog"
)

// Reason says why a flow did not end with a stored token. It is the value of "reason"
// at the application's page, which says it to the doctor in words.
type Reason string

// The reasons.
const (
	// ReasonDenied: the doctor said no on the consent page.
	ReasonDenied Reason = "denied"
	// ReasonScope: the doctor unticked a permission that is needed.
	ReasonScope Reason = "scope_missing"
	// ReasonExpired: the flow is older than ten minutes, was used already, or began in
	// another browser.
	ReasonExpired Reason = "expired"
	// ReasonLogin: nobody is logged in.
	ReasonLogin Reason = "login_required"
	// ReasonOtherLogin: another doctor is logged in than when the flow began.
	ReasonOtherLogin Reason = "other_login"
	// ReasonCrossSite: the flow was not begun by a page of the application. ServeHTTP answers
	// it with 403.
	ReasonCrossSite Reason = "cross_site"
	// ReasonInvalid: the callback is not one that the provider makes.
	ReasonInvalid Reason = "invalid_callback"
	// ReasonProvider: the provider answered with an error, or not at all. Trying again may
	// help.
	ReasonProvider Reason = "provider_error"
	// ReasonConfig: the provider refused this application's credentials. A person must mend
	// the configuration.
	ReasonConfig Reason = "not_configured"
	// ReasonNoRefresh: the provider gave no refresh token, so that the connection would end
	// within the hour.
	ReasonNoRefresh Reason = "no_refresh_token"
	// ReasonStore: the store failed, before or while the token was stored. Trying again may
	// help.
	ReasonStore Reason = "not_stored"
)

// level is how loud a flow that failed is logged: what doctors do is no trouble, what
// fails beneath them is.
func (r Reason) level() slog.Level {
	switch r {
	case ReasonProvider, ReasonConfig, ReasonNoRefresh, ReasonStore:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// FlowError is a flow that did not end with a stored token. Nothing was stored, save that
// with ReasonStore nobody knows: the store may have done it and its answer been lost.
// State tells later.
type FlowError struct {
	// Reason is what to tell the doctor.
	Reason Reason
	// Err is the cause, without secrets; nil if Reason says it all.
	Err error
}

func (e *FlowError) Error() string {
	if e.Err == nil {
		return "connect: " + string(e.Reason)
	}
	return "connect: " + string(e.Reason) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *FlowError) Unwrap() error { return e.Err }

// subjectError is an error of Config.Subject. Its text is the application's and may name
// a person, so what is logged is its type. errors.Is and errors.As see the error itself.
type subjectError struct{ err error }

func (e *subjectError) Error() string { return fmt.Sprintf("Config.Subject failed with %T", e.err) }

func (e *subjectError) Unwrap() error { return e.err }

func reasonOf(err error) Reason {
	if flow, ok := errors.AsType[*FlowError](err); ok {
		return flow.Reason
	}
	return ReasonProvider
}
