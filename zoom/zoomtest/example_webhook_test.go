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

// The dashboard shows that a patient waits, and not that the doctor does.
func ExampleServer_ParticipantEvent() {
	ctx := context.Background()
	fake := start(zoomtest.Config{})
	defer fake.Close()
	webhook, err := zoom.NewWebhook(zoom.WebhookConfig{
		Secrets: []telemed.Secret{fake.WebhookSecret()},
		Handle: func(_ context.Context, e zoom.Event) error {
			if e.Name == zoom.EventWaitingRoomJoined && !e.Participant.IsDoctor {
				fmt.Println("waits:", e.Participant.CustomerKey)
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer webhook.Shutdown(ctx)
	hospital := httptest.NewServer(webhook)
	defer hospital.Close()

	for _, person := range []map[string]any{
		{"user_id": "16778240", "customer_key": "visit-42", "user_name": "Asha"},
		{"user_id": "16778241", "customer_key": "visit-43", "user_name": "Ravi"},
	} {
		event := fake.ParticipantEvent(zoom.EventWaitingRoomJoined, 82000000001, person)
		if _, _, err := fake.SendWebhook(hospital.URL, event); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// waits: visit-42
	// waits: visit-43
}

// An application that was removed in Zoom must forget the doctor.
func ExampleServer_DeauthorizedEvent() {
	ctx := context.Background()
	fake := start(zoomtest.Config{})
	defer fake.Close()
	webhook, err := zoom.NewWebhook(zoom.WebhookConfig{
		Secrets: []telemed.Secret{fake.WebhookSecret()},
		Handle: func(_ context.Context, e zoom.Event) error {
			fmt.Println(e.Name, "by", e.UserID)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer webhook.Shutdown(ctx)
	hospital := httptest.NewServer(webhook)
	defer hospital.Close()
	fake.Uninstall(zoomtest.DefaultUser().ID)
	status, _, err := fake.SendWebhook(hospital.URL, fake.DeauthorizedEvent(zoomtest.DefaultUser().ID))
	fmt.Println(status, err)
	// Output:
	// app_deauthorized by u-dr-rao
	// 200 <nil>
}
