package template_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing/fstest"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
)

func Example() {
	kolkata := time.FixedZone("IST", 5*3600+1800)
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: kolkata, AllowUnreviewed: true})
	if err != nil {
		panic(err)
	}
	content, err := words.Render(notify.Message{
		To:       notify.Recipient{Name: "आशा राव", Locale: "hi-IN"},
		Template: template.Confirmed,
		Data: template.Appointment{
			Key: "appt-42", Patient: "आशा राव", Doctor: "डॉ. मेहता",
			Start: time.Date(2026, time.March, 2, 10, 30, 0, 0, kolkata), JoinURL: "https://meet.example/abc",
		},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(content.Subject)
	fmt.Println(content.Files[0].Name)
	fmt.Println(content.WhatsApp.Name, content.WhatsApp.Language, content.WhatsApp.Body[2])
	// Output:
	// अपॉइंटमेंट की पुष्टि: सोमवार, 2 मार्च 2026, सुबह 10:30 बजे IST, City Clinic
	// invite.ics
	// appointment_confirmed hi सोमवार, 2 मार्च 2026, सुबह 10:30 बजे IST
}

// What a reminder says is true when it is sent: "tomorrow" and "in 40 minutes" are by the
// patient's clock.
func ExamplePage_Until() {
	kolkata, newYork := time.FixedZone("IST", 5*3600+1800), time.FixedZone("EST", -5*3600)
	start := time.Date(2026, time.March, 2, 5, 0, 0, 0, time.UTC) // as databases give it
	now := start.Add(-20 * time.Hour)
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: kolkata, AllowUnreviewed: true, Now: func() time.Time { return now }})
	if err != nil {
		panic(err)
	}
	for _, to := range []notify.Recipient{{Name: "Asha"}, {Name: "आशा", Locale: "hi"}, {Name: "Ravi", Zone: newYork}} {
		content, err := words.Render(notify.Message{
			To: to, Template: template.Reminder,
			Data: template.Appointment{Key: "appt-42", Patient: "Asha Rao", Doctor: "Dr Mehta", Start: start},
		})
		if err != nil {
			panic(err)
		}
		fmt.Println(content.Subject)
		now = start.Add(-40 * time.Minute)
	}
	// Output:
	// Your appointment starts tomorrow: Monday, 2 March 2026, 10:30 AM IST, City Clinic
	// आपका अपॉइंटमेंट 40 मिनट में है: सोमवार, 2 मार्च 2026, सुबह 10:30 बजे IST, City Clinic
	// Your appointment starts in 40 minutes: Monday, 2 March 2026, 12:00 AM EST, City Clinic
}

// An application adds a template of its own, and changes the wording of another one.
func ExampleConfig() {
	type result struct{ Test string }
	own := fstest.MapFS{ // an embed.FS in a program
		"en/result_ready.subject":          {Data: []byte("A result is ready")},
		"en/result_ready.txt":              {Data: []byte("Hello {{.To}}, the result of {{.Data.Test}} is ready.")},
		"en/appointment_cancelled.subject": {Data: []byte("We are sorry: no appointment on {{.Date .Data.Start}}")},
	}
	words, err := template.New(template.Config{
		Clinic: "City Clinic", Zone: time.FixedZone("IST", 5*3600+1800), FS: own, Samples: map[string]any{"result_ready": result{"blood count"}},
	})
	if err != nil {
		panic(err)
	}
	content, err := words.Render(notify.Message{
		To: notify.Recipient{Name: "Asha"}, Template: "result_ready", Data: result{"blood count"},
	})
	fmt.Println(content.Text, err)

	_, err = words.Render(notify.Message{Template: "result_ready", Data: "blood count"})
	fmt.Println(err)
	// Output:
	// Hello Asha, the result of blood count is ready. <nil>
	// template: result_ready: Data is string, not template_test.result
}

// A code goes out by an authentication template: the button copies it.
func ExampleCode() {
	content := rendered(template.OneTimePassword, template.Code{Code: "482913", ValidFor: 10 * time.Minute})
	fmt.Println(content.Text[:strings.Index(content.Text, "\n\n-- ")])
	fmt.Println(content.WhatsApp.Name, content.WhatsApp.Code)
	// Output:
	// Hello,
	//
	// Your code for City Clinic is 482913. It is valid for 10 min.
	//
	// Never share this code.
	// one_time_password 482913
}

// A doctor's day, in the clinic's zone.
func ExampleDayList() {
	first := time.Date(2026, time.March, 2, 5, 0, 0, 0, time.UTC)
	content := rendered(template.TodaysList, template.DayList{
		Doctor: "Dr Mehta", Day: first, Visits: []template.Slot{{Start: first, Patient: "Asha Rao"}, {Start: first.Add(time.Hour), Patient: "Ravi Sen"}},
	})
	fmt.Println(content.Subject)
	fmt.Println(content.Text[strings.Index(content.Text, "Monday"):strings.Index(content.Text, "Clinic:")])
	// Output:
	// Your consultations on 2 March 2026, City Clinic
	// Monday, 2 March 2026, 10:30 AM IST: Asha Rao
	// Monday, 2 March 2026, 11:30 AM IST: Ravi Sen
}

// A document is behind a login; the message says what it is and who wrote it.
func ExampleDocument() {
	content := rendered(template.DocumentReady, template.Document{
		Patient: "Asha Rao", Doctor: "Dr Mehta", Title: "Prescription", URL: "https://clinic.example/documents",
		Registration: "12345", Council: "Maharashtra Medical Council",
	})
	fmt.Println(content.Text[strings.Index(content.Text, "Patient:"):strings.Index(content.Text, "\n\nOpen")])
	// Output:
	// Patient: Asha Rao
	// Doctor: Dr Mehta
	// Registration: 12345 Maharashtra Medical Council
	// Document: Prescription
	// Clinic: City Clinic
}

// What is wrong with the data is said by the names of its fields.
func ExamplePaymentDue() {
	due := template.PaymentDue{Patient: "Asha Rao", Amount: 50000, Currency: "INR", URL: "https://clinic.example/pay"}
	fmt.Println(rendered(template.PaymentAsked, due).Subject)
	due.Amount, due.URL = 0, "http://clinic.example/pay"
	for _, f := range telemed.Fields(due.Validate()) {
		fmt.Println(f.Field, f.Problem)
	}
	// Output:
	// Please pay ₹500.00, City Clinic
	// Amount is not positive
	// URL is not an https address (or http on loopback)
}

// The bodies that an application registers at Meta, in the languages that it sends.
func ExampleDefinitions() {
	for _, d := range template.Definitions() {
		if d.Name == template.Cancelled && d.Language == "en" {
			fmt.Println(d.Category, d.Example[1])
			fmt.Println(d.Body)
		}
	}
	// Output:
	// UTILITY Dr Sample
	// Hello {{1}},
	//
	// Your video consultation will not take place.
	//
	// Doctor: {{2}}
	// Planned time: {{3}}
	//
	// This message was sent automatically by {{4}}. Please do not send medical details in an answer.
}

// Developers and translators look at all messages on one page.
func ExampleSet_Preview() {
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: time.FixedZone("IST", 5*3600+1800)})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/dev/messages", words.Preview()) // not where patients come
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/dev/messages?language=hi&data=few", nil))
	fmt.Println(w.Code, strings.Count(w.Body.String(), "<iframe sandbox"))
	// Output: 200 20
}

func rendered(name string, data any) *notify.Content {
	words, err := template.New(template.Config{Clinic: "City Clinic", Zone: time.FixedZone("IST", 5*3600+1800)})
	if err != nil {
		panic(err)
	}
	content, err := words.Render(notify.Message{Template: name, Data: data})
	if err != nil {
		panic(err)
	}
	return content
}
