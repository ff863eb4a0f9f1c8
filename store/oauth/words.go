package oauth

import "github.com/telemed-go/telemed/internal/fault"

// codeWords are the codes that an Error may hold: those of RFC 6749 §5.2 and §4.1.2.1, of
// RFC 7009 and RFC 6750, and what Google, Zoom and GitHub have beside them. Any other may
// be prose.
var codeWords = fault.NewWords(
	`invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope
	access_denied unsupported_response_type server_error temporarily_unavailable
	unsupported_token_type invalid_token insufficient_scope slow_down`,
	`admin_policy_enforced deleted_client disabled_client org_internal rate_limit_exceeded internal_failure
	redirect_uri_mismatch bad_refresh_token bad_verification_code incorrect_client_credentials
	interaction_required login_required consent_required invalid_rapt`,
)
