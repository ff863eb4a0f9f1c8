package oauth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
)

// answersWithoutToken are the refusals of token endpoints, as they were seen or are
// documented.
var answersWithoutToken = []struct {
	name   string
	status int
	body   string
	kind   error
}{
	{"Zoom, a dead token, 401", 401, `{"reason":"Invalid Token!","error":"invalid_request"}`, ErrRejected},
	{"Zoom, a dead token, 400", 400, `{"reason":"Invalid Token!","error":"invalid_request"}`, ErrRejected},
	{"Zoom, a dead token, no code", 400, `{"reason":"Invalid Token!"}`, ErrRejected},
	{"Zoom, invalid_grant", 400, `{"reason":"Invalid Token!","error":"invalid_grant"}`, ErrRejected},
	{"Zoom, the user is gone", 400, `{"reason":"User does not exist!","error":"invalid_request"}`, ErrRejected},
	{"Zoom, the user is gone, by number", 400, `{"code":1001,"message":"User does not exist: abc."}`, ErrRejected},
	{"Zoom, code 124", 401, `{"code":124,"message":"Invalid access token."}`, ErrRejected},
	{"Zoom, wrong secret", 400, `{"reason":"Invalid client_id or client_secret","error":"invalid_client"}`, telemed.ErrUnauthorized},
	{"Zoom, wrong secret, beside a token", 400, `{"reason":"Invalid Token!","error":"invalid_client"}`, telemed.ErrUnauthorized},
	{"Zoom, another redirect", 400, `{"reason":"Redirect URI mismatch.","error":"invalid_request"}`, telemed.ErrInvalid},
	{"Zoom, a request of another kind", 400, `{"reason":"Invalid token_type","error":"invalid_request"}`, telemed.ErrInvalid},
	{"Google, deleted account", 400, `{"error":"invalid_grant","error_description":"Account has been deleted"}`, ErrRejected},
	{"Google, a session policy", 400, `{"error":"invalid_grant","error_subtype":"invalid_rapt","error_description":"reauth related error (invalid_rapt)"}`, ErrRejected},
	{"Google, an administrator's policy", 400, `{"error":"admin_policy_enforced"}`, ErrRejected},
	{"Google, wrong client", 401, `{"error":"invalid_client","error_description":"The OAuth client was not found."}`, telemed.ErrUnauthorized},
	{"Google, deleted client", 401, `{"error":"deleted_client","error_description":"The OAuth client was deleted."}`, telemed.ErrUnauthorized},
	{"Google, too often", 403, `{"error":"rate_limit_exceeded"}`, telemed.ErrRateLimited},
	{"Google, in trouble", 400, `{"error":"internal_failure"}`, telemed.ErrAmbiguous},
	{"Google, an object for an error", 400, `{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"x"}}`, telemed.ErrInvalid},
	{"GitHub, a dead token", 200, `{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired."}`, ErrRejected},
	{"GitHub, wrong secret", 200, `{"error":"incorrect_client_credentials"}`, telemed.ErrUnauthorized},
	{"GitHub, as a form", 200, `error=bad_refresh_token&error_description=x`, ErrRejected},
	{"Slack, a dead token", 200, `{"ok":false,"error":"token_revoked"}`, ErrRejected},
	{"Microsoft, a consent is missing", 400, `{"error":"interaction_required","error_codes":[50076]}`, ErrRejected},
	{"a consent withdrawn", 403, `{"error":"access_denied"}`, ErrRejected},
	{"in capitals", 400, `{"error":"INVALID_GRANT"}`, ErrRejected},
	{"behind a BOM", 400, "\ufeff" + `{"error":"invalid_grant"}`, ErrRejected},
	{"unauthorized_client", 400, `{"error":"unauthorized_client"}`, telemed.ErrUnauthorized},
	{"a code of its own, 200", 200, `{"error":"strange"}`, telemed.ErrInvalid},
	{"a code of its own, 400", 400, `{"error":"strange"}`, telemed.ErrInvalid},
	{"a code of its own, 401", 401, `{"error":"strange"}`, telemed.ErrUnauthorized},
	{"no code, 403", 403, `{"message":"Forbidden"}`, telemed.ErrUnauthorized},
	{"no code, 200", 200, `{"ok":true}`, telemed.ErrAmbiguous},
	{"an error of 0, 200", 200, `{"error":0}`, telemed.ErrAmbiguous},
	{"in trouble for now", 400, `{"error":"temporarily_unavailable"}`, telemed.ErrAmbiguous},

	{"a gateway's page, 400", 400, `<html>invalid_grant</html>`, telemed.ErrAmbiguous},
	{"a gateway's page, 401", 401, `<html><script>x={"error":"invalid_grant"}</script>`, telemed.ErrAmbiguous},
	{"a gateway's page, 403", 403, `<html><style>a{color:red}</style>`, telemed.ErrAmbiguous},
	{"a gateway's page, 404", 404, `<html>`, telemed.ErrAmbiguous},
	{"a gateway's text, 401", 401, `Unauthorized. id=7`, telemed.ErrAmbiguous},
	{"nothing, 401", 401, ``, telemed.ErrAmbiguous},
	{"a redirect", 302, `{"error":"invalid_grant"}`, telemed.ErrAmbiguous},
	{"408", 408, `{"error":"invalid_grant"}`, telemed.ErrAmbiguous},
	{"500", 500, `{"error":"invalid_client"}`, telemed.ErrAmbiguous},
	{"503", 503, `{"error":"invalid_grant"}`, telemed.ErrAmbiguous},
	{"429", 429, `{"error":"invalid_grant"}`, telemed.ErrRateLimited},
	{"429 of a gateway", 429, `<html>`, telemed.ErrRateLimited},
}

func TestMeaning(t *testing.T) {
	t.Parallel()
	for _, test := range answersWithoutToken {
		require.Equal(t, test.kind, meaning(test.status, readAnswer([]byte(test.body))).kind, test.name)
	}
}

// TestEveryRefusal walks the table: each row is reached, whatever stands above it.
func TestEveryRefusal(t *testing.T) {
	t.Parallel()
	for _, row := range refusals {
		status := row.status
		if status == 0 {
			status = 400
		}
		code := row.code
		switch {
		case code == noCode:
			code = ""
		case code == "" && row.words == "":
			code = "strange"
		}
		body := fmt.Sprintf(`{"error":%q,"reason":%q}`, code, strings.ToUpper(row.words))
		require.Equal(t, row, meaning(status, readAnswer([]byte(body))), body)
		require.NotEmpty(t, row.whose)
		require.NotNil(t, row.kind)
	}
}
