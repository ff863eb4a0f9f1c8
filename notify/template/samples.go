package template

import "time"

// samples returns what a built-in template is tried with: all fields, and as few as may
// be. It is nil for others.
func samples(name string) []any {
	start := time.Date(2026, time.March, 2, 5, 0, 0, 0, time.UTC)
	switch name {
	case Confirmed, Rescheduled, Cancelled, Reminder, VisitWaiting, JoinNow, DoctorLate, NoShow, DoctorBooked, DoctorMoved, DoctorCancelled:
		few := Appointment{Key: "k", Patient: "P", Doctor: "D", Start: start}
		all := few
		all.Clinic, all.Duration, all.JoinURL = "C", time.Hour, "https://meet.example/x"
		all.Previous, all.Note, all.Sequence = start.Add(-time.Hour), "N", 2
		all.Registration, all.Council, all.Delay = "R", "M", time.Minute
		all.CalendarURL, all.RescheduleURL, all.CancelURL = all.JoinURL, all.JoinURL, all.JoinURL
		return []any{all, few}
	case PaymentReceived:
		few := Payment{Patient: "P", Amount: 1, Currency: "INR", Reference: "r", PaidAt: start}
		all := few
		all.Clinic, all.Item, all.Number, all.Exemption, all.Doctor = "C", "I", "1", "E", "D"
		all.Registration, all.Council, all.Lines = "R", "M", []ReceiptLine{{"L", 1}}
		return []any{all, few}
	case RefundPending, Refunded:
		few := Refund{Patient: "P", Amount: 1, Currency: "INR", At: start}
		all := few
		all.Clinic, all.Of, all.Reference, all.Item, all.Note = "C", 2, "r", "I", "N"
		return []any{all, few}
	case PaymentAsked, PaymentFailed:
		few := PaymentDue{Patient: "P", Amount: 1, Currency: "INR", URL: "https://clinic.example/pay"}
		all := few
		all.Clinic, all.Item, all.Until = "C", "I", start
		return []any{all, few}
	case OneTimePassword:
		return []any{Code{Code: "123456", ValidFor: time.Minute}}
	case DocumentReady:
		return []any{Document{Patient: "P", Doctor: "D", Title: "T", URL: "https://clinic.example/documents"}}
	case TodaysList:
		return []any{
			DayList{Doctor: "D", Day: start, Visits: []Slot{{start, "P"}}, URL: "https://clinic.example/today"},
			DayList{Doctor: "D", Day: start},
		}
	case Reconnect:
		few := Reconnection{Doctor: "D", Provider: "Google", URL: "https://clinic.example/connect"}
		all := few
		all.Clinic, all.Next = "C", start
		return []any{all, few}
	}
	return nil
}
