package template

import "time"

// sampleStart is when the appointment of the samples begins.
var sampleStart = time.Date(2026, time.March, 2, 5, 0, 0, 0, time.UTC)

// sampleTime is the time that samples are shown at.
func sampleTime() time.Time { return sampleStart.Add(-40 * time.Minute) }

// samples returns what a built-in template is tried with: all fields, and as few as may
// be. It is nil for others. Nobody in them is a person.
func samples(name string) []any {
	switch name {
	case PaymentReceived, RefundPending, Refunded, PaymentAsked, PaymentFailed:
		return moneySamples(name)
	case OneTimePassword:
		return []any{Code{Code: "482913", ValidFor: 10 * time.Minute}}
	case DocumentReady:
		few := Document{Patient: "Sample Patient", Doctor: "Dr Sample", Title: "Prescription", URL: "https://clinic.example/documents"}
		all := few
		all.Registration, all.Council = "12345", "Sample Medical Council"
		return []any{all, few}
	case TodaysList:
		few := DayList{Doctor: "Dr Sample", Day: sampleStart}
		all := few
		all.URL = "https://clinic.example/today"
		all.Visits = []Slot{{sampleStart, "Sample Patient"}, {sampleStart.Add(time.Hour), "Another Sample"}}
		return []any{all, few}
	case Reconnect:
		few := Reconnection{Doctor: "Dr Sample", Provider: "Google", URL: "https://clinic.example/connect"}
		all := few
		all.Next = sampleStart
		return []any{all, few}
	}
	if _, ok := shapes[name]; !ok {
		return nil
	}
	few := Appointment{Key: "k", Patient: "Sample Patient", Doctor: "Dr Sample", Start: sampleStart}
	all := few
	all.Duration, all.Delay, all.JoinURL = 30*time.Minute, 15*time.Minute, "https://meet.example/abc-defg-hij"
	all.Previous, all.Note, all.Sequence = sampleStart.Add(-24*time.Hour), "A note of the clinic.", 2
	all.Registration, all.Council = "12345", "Sample Medical Council"
	all.CalendarURL, all.RescheduleURL = "https://clinic.example/calendar", "https://clinic.example/move"
	all.CancelURL = "https://clinic.example/cancel"
	return []any{all, few}
}

func moneySamples(name string) []any {
	switch name {
	case PaymentReceived:
		few := Payment{Patient: "Sample Patient", Amount: 50000, Currency: "INR", Reference: "pay_29QQoUBi66xm2f", PaidAt: sampleStart}
		all := few
		all.Item, all.Number, all.Exemption, all.Doctor = "Video consultation", "R-2026-17", "Healthcare, exempt from GST", "Dr Sample"
		all.Registration, all.Council = "12345", "Sample Medical Council"
		all.Lines = []ReceiptLine{{"Consultation", 55000}, {"Discount", -5000}}
		return []any{all, few}
	case RefundPending, Refunded:
		few := Refund{Patient: "Sample Patient", Amount: 25000, Currency: "INR", At: sampleStart}
		all := few
		all.Of, all.Reference, all.Item = 50000, "rfnd_29QQoUBi66xm2f", "Video consultation"
		all.Note = "A note of the clinic."
		return []any{all, few}
	}
	few := PaymentDue{Patient: "Sample Patient", Amount: 50000, Currency: "INR", URL: "https://clinic.example/pay"}
	all := few
	all.Item, all.Until = "Video consultation", sampleStart
	return []any{all, few}
}
