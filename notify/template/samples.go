package template

import "time"

// samples returns what a built-in template is tried with: all fields, and as few as may
// be. It is nil for others.
func samples(name string) []any {
	start := time.Date(2026, time.March, 2, 5, 0, 0, 0, time.UTC)
	switch name {
	case Confirmed, Rescheduled, Cancelled, Reminder, VisitWaiting, DoctorBooked, DoctorMoved, DoctorCancelled:
		few := Appointment{Key: "k", Patient: "P", Doctor: "D", Start: start}
		all := few
		all.Clinic, all.Duration, all.JoinURL = "C", time.Hour, "https://meet.example/x"
		all.Previous, all.Note, all.Sequence = start.Add(-time.Hour), "N", 2
		return []any{all, few}
	case PaymentReceived:
		few := Payment{Patient: "P", Amount: 1, Currency: "INR", Reference: "r", PaidAt: start}
		all := few
		all.Clinic, all.Item = "C", "I"
		return []any{all, few}
	case RefundPending, Refunded:
		few := Refund{Patient: "P", Amount: 1, Currency: "INR", At: start}
		all := few
		all.Clinic, all.Of, all.Reference, all.Item, all.Note = "C", 2, "r", "I", "N"
		return []any{all, few}
	case Reconnect:
		few := Reconnection{Doctor: "D", Provider: "Google", URL: "https://clinic.example/connect"}
		all := few
		all.Clinic, all.Next = "C", start
		return []any{all, few}
	}
	return nil
}
