package razorpay

import "github.com/telemed-go/telemed/internal/fault"

// words are Razorpay's that errors may hold. What is missing here is left out of an error,
// no more: what it means is decided before. Sources are the pages below
// https://razorpay.com/docs/errors/ and the errors that razorpaytest makes.
var words = fault.NewWords(
	// code
	"BAD_REQUEST_ERROR GATEWAY_ERROR SERVER_ERROR SERVICE_UNAVAILABLE",
	// source
	"business customer bank gateway internal network issuer issuer_bank customer_psp beneficiary_bank provider",
	// step
	`payment_initiation payment_authentication payment_authorization payment_capture payment_eligibility_check
	payment_debit_request payment_credit_request payment_request_sent payment_response payment_refund
	order_creation refund_initiation`,
	// field
	`amount currency receipt notes speed id order_id payment_id refund_id method contact email count skip from to
	payment_capture partial_payment first_payment_min_amount bank wallet vpa expand authorized customer_id`,
	// reason
	`input_validation_failed extra_field_sent amount_less_than_minimum_amount amount_exceeds_maximum_amount
	invalid_request server_error gateway_error gateway_technical_error bank_technical_error request_timed_out
	payment_failed payment_cancelled payment_declined payment_timed_out payment_pending payment_risk_check_failed
	payment_session_expired payment_not_found order_already_paid amount_mismatch duplicate_request
	authentication_failed authorization_failed insufficient_funds insufficient_balance debit_declined
	card_declined card_expired card_not_enrolled card_network_not_supported card_type_invalid card_number_invalid
	card_issuer_not_supported card_not_eligible incorrect_card_details incorrect_card_expiry_date incorrect_cvv
	incorrect_otp incorrect_pin incorrect_atm_pin otp_expired otp_attempts_exceeded pin_attempts_exceeded
	invalid_vpa vpa_resolution_failed invalid_user_details user_not_eligible user_not_registered_for_netbanking
	bank_not_available bank_account_invalid bank_account_blocked transaction_limit_exceeded
	transaction_daily_limit_exceeded transaction_daily_count_exceeded international_transaction_not_allowed
	payment_collect_request_expired upi_app_technical_error credit_to_beneficiary_failed capture_failed refund_failed
	feature_not_enabled merchant_not_enabled`,
)
