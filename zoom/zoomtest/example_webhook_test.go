package zoomtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// A test forges what anybody on the net may send: another body under a signature that was
// seen, and a delivery that was kept for hours. SendWebhook is for those that are
// genuine.
func ExampleServer_Sign() {
	ctx := context.Background()
	fake := start(zoomtest.Config{})
	defer fake.Close()
	webhook, err := zoom.NewWebhook(zoom.WebhookConfig{
		Secrets: []telemed.Secret{fake.WebhookSecret()},
		Handle: func(_ context.Context, e zoom.Event) error {
			fmt.Println(e.Name)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer webhook.Shutdown(ctx)
	hospital := httptest.NewServer(webhook)
	defer hospital.Close()
	body, err := json.Marshal(fake.MeetingEvent(zoom.EventMeetingStarted, 81000000001))
	if err != nil {
		log.Fatal(err)
	}

	signed := fake.Sign(time.Now(), body)
	forged := bytes.Replace(body, []byte("81000000001"), []byte("81000000002"), 1)
	status, _, err := fake.Deliver(hospital.URL, signed, forged)
	fmt.Println("another body:", status, err)
	status, _, err = fake.Deliver(hospital.URL, fake.Sign(time.Now().Add(-3*time.Hour), body), body)
	fmt.Println("kept for hours:", status, err)
	status, _, err = fake.Deliver(hospital.URL, signed, body)
	fmt.Println("as it was signed:", status, err)
	// Output:
	// another body: 401 <nil>
	// kept for hours: 401 <nil>
	// meeting.started
	// as it was signed: 200 <nil>
}
