package oauth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/telemed-go/telemed"
)

// refusal is a row of the table: an answer without a token, and what it means. What is
// empty in a row fits every answer.
type refusal struct {
	// whose answer it is, for the reader. The words are those of one provider, so that
	// rows need not be told apart by it.
	whose string
	// status is the HTTP status.
	status int
	// code is the OAuth error (RFC 6749 §5.2), in small letters.
	code string
	// words are what the text beside the code says, or begins with, in small letters.
	words string
	// kind is what is made of it. ErrRejected: this token, or this code, is dead.
	// telemed.ErrUnauthorized: the application's credentials are refused, and no account
	// is to blame.
	kind error
	// reason is for people; it may be empty.
	reason string
}

// refusals are the answers of which it is known what they mean. The first that fits
// holds. They hold for an OAuth server's own words alone: pages of gateways and servers
// in trouble have been sorted out before (see meaning).
var refusals = []refusal{
	// Google says why in error_subtype: all of them are final.
	{whose: "RFC 6749", code: "invalid_grant", kind: ErrRejected},
	{whose: "RFC 6749", code: "invalid_client", kind: telemed.ErrUnauthorized},
	{whose: "RFC 6749", code: "unauthorized_client", kind: telemed.ErrUnauthorized},
	{whose: "RFC 6749", code: "unsupported_grant_type", kind: telemed.ErrUnauthorized},
	{whose: "RFC 6749", code: "invalid_scope", kind: telemed.ErrUnauthorized},
	{whose: "RFC 6749", code: "access_denied", kind: ErrRejected},
	{whose: "RFC 6749", code: "server_error", kind: telemed.ErrAmbiguous},
	{whose: "RFC 6749", code: "temporarily_unavailable", kind: telemed.ErrAmbiguous},
	{whose: "RFC 6750", code: "invalid_token", kind: ErrRejected},
	{whose: "RFC 8628", code: "slow_down", kind: telemed.ErrRateLimited},
	{whose: "OpenID Connect", code: "login_required", kind: ErrRejected},
	{whose: "OpenID Connect", code: "consent_required", kind: ErrRejected},
	{whose: "OpenID Connect", code: "interaction_required", kind: ErrRejected},

	{whose: "Google", code: "admin_policy_enforced", kind: ErrRejected, reason: reasonAdministrator},
	{whose: "Google", code: "deleted_client", kind: telemed.ErrUnauthorized},
	{whose: "Google", code: "disabled_client", kind: telemed.ErrUnauthorized},
	{whose: "Google", code: "internal_failure", kind: telemed.ErrAmbiguous},
	{whose: "Google", code: "rate_limit_exceeded", kind: telemed.ErrRateLimited},

	// With invalid_request, as 400 and as 401.
	{whose: "Zoom", words: "invalid token", kind: ErrRejected},
	{whose: "Zoom", words: "invalid access token", kind: ErrRejected},
	{whose: "Zoom", words: "invalid refresh token", kind: ErrRejected},
	{whose: "Zoom", words: "token expired", kind: ErrRejected},
	{whose: "Zoom", words: "token is expired", kind: ErrRejected},
	{whose: "Zoom", words: "user does not exist", kind: ErrRejected},

	{whose: "GitHub", code: "bad_refresh_token", kind: ErrRejected},
	{whose: "GitHub", code: "bad_verification_code", kind: ErrRejected},
	{whose: "GitHub", code: "incorrect_client_credentials", kind: telemed.ErrUnauthorized},

	{whose: "Slack", code: "invalid_refresh_token", kind: ErrRejected},
	{whose: "Slack", code: "token_expired", kind: ErrRejected},
	{whose: "Slack", code: "token_revoked", kind: ErrRejected},
	{whose: "Slack", code: "account_inactive", kind: ErrRejected},
	{whose: "Slack", code: "bad_client_secret", kind: telemed.ErrUnauthorized},
	{whose: "Slack", code: "invalid_client_id", kind: telemed.ErrUnauthorized},
	{whose: "Slack", code: "ratelimited", kind: telemed.ErrRateLimited},

	// Nothing but a status. A Source asks twice before it believes that a token is dead.
	{whose: "Zoom, code 124", status: http.StatusUnauthorized, code: noCode, kind: ErrRejected},
	{whose: "anybody", status: http.StatusUnauthorized, kind: telemed.ErrUnauthorized},
	{whose: "anybody", status: http.StatusForbidden, kind: telemed.ErrUnauthorized},
}

// reasonAdministrator is in the record of an account whose organisation does not allow
// this application.
const reasonAdministrator = "an administrator of the account's organisation does not allow this application"

// noCode fits an answer without an OAuth error.
const noCode = "none"

// meaning returns what an answer without a token means. Who says no in words of its own
// is believed only if it is the OAuth server, and not in trouble.
func meaning(status int, a answer) refusal {
	code := strings.ToLower(a.text("error"))
	switch {
	case status == http.StatusTooManyRequests:
		return refusal{kind: telemed.ErrRateLimited}
	case status >= 500, status == http.StatusRequestTimeout, status/100 == 3, a.foreign:
		return refusal{kind: telemed.ErrAmbiguous}
	case status/100 == 2 && code == "":
		return refusal{kind: telemed.ErrAmbiguous}
	}
	texts := []string{a.text("reason"), a.text("message"), a.text("error_description")}
	for _, row := range refusals {
		if row.fits(status, code, texts) {
			return row
		}
	}
	return refusal{kind: telemed.ErrInvalid}
}

func (r refusal) fits(status int, code string, texts []string) bool {
	switch {
	case r.status != 0 && r.status != status:
		return false
	case r.code == noCode && code != "", r.code != noCode && r.code != "" && r.code != code:
		return false
	}
	return r.words == "" || slices.ContainsFunc(texts, r.begins)
}

// begins reports whether a text begins with the row's words, and they end there.
func (r refusal) begins(text string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(text)), r.words)
	return ok && (rest == "" || strings.ContainsRune("!.,:;", rune(rest[0])))
}
