package template_test

import (
	"fmt"
	"testing/fstest"
	"time"

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
