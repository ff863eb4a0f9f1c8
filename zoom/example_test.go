package zoom_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// A visit from the doctor's consent to its end. store/connect does the first half in an
// application.
func Example() {
	ctx := context.Background()
	fake, err := zoomtest.Start(zoomtest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	tokens := store.NewMemory()
	z, err := zoom.New(zoom.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Endpoints: fake.Endpoints(),
		RedirectURL: "http://127.0.0.1:3001/callback", Tokens: tokens,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer z.Shutdown(ctx)

	verifier := oauth2.GenerateVerifier()
	callback, _ := fake.Authorize(z.OAuth().AuthCodeURL("a-random-state", verifier))
	answer, _ := url.Parse(callback)
	token, err := z.OAuth().Exchange(ctx, answer.Query().Get("code"), verifier)
	fmt.Println("consent:", token.HasScope("meeting:write:meeting"), err)
	_ = store.Set(ctx, tokens, store.AccountID{Provider: zoom.ProviderName, Subject: "dr-rao"}, token)

	req := meet.Request{Key: "appt-42", Start: time.Now().Add(time.Hour), Duration: 30 * time.Minute}
	first, err := z.Create(ctx, "dr-rao", req)
	fmt.Println("created:", first.Topic, first.Status, err)
	again, err := z.Create(ctx, "dr-rao", req)
	fmt.Println("again:", again.ID == first.ID, err)
	link, err := z.HostLink(ctx, "dr-rao", first.ID)
	fmt.Println("host link:", link, err)
	fmt.Println("cancelled:", z.Cancel(ctx, "dr-rao", first.ID))
	// Output:
	// consent: true <nil>
	// created: Video consultation scheduled <nil>
	// again: true <nil>
	// host link: [redacted] <nil>
	// cancelled: <nil>
}

// The dashboard learns that a visit began. Zoom sends the event twice; a second one is
// about a meeting that this clinic does not know, and never will.
func ExampleNewWebhook() {
	fake, err := zoomtest.Start(zoomtest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	visits := map[string]string{"81000000001": "appt-42"} // a table in the database
	webhook, err := zoom.NewWebhook(zoom.WebhookConfig{
		Secrets: []telemed.Secret{fake.WebhookSecret()},
		Claims:  store.NewMemory(), // Claims in the database, once there are two processes
		Handle: func(_ context.Context, e zoom.Event) error {
			visit, known := visits[e.Meeting.ID]
			if !known {
				return zoom.Permanent(errors.New("no such meeting"))
			}
			fmt.Println(e.Name, "for", visit)
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/zoom", webhook)
	server := httptest.NewServer(mux)
	defer server.Close()

	began := fake.MeetingEvent(zoom.EventMeetingStarted, 81000000001)
	for _, event := range []any{began, began, fake.MeetingEvent(zoom.EventMeetingStarted, 81000000002)} {
		status, answer, err := fake.SendWebhook(server.URL+"/webhooks/zoom", event)
		fmt.Print(status, " ", string(answer))
		if err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(webhook.Shutdown(context.Background())) // after the server's own
	// Output:
	// meeting.started for appt-42
	// 200 ok
	// 200 duplicate
	// 200 ok
	// <nil>
}

// A doctor removes the app in Zoom. The tokens go, and the application hears whose they
// were.
func ExampleClient_Deauthorized() {
	ctx := context.Background()
	fake, err := zoomtest.Start(zoomtest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	tokens := store.NewMemory()
	z, err := zoom.New(zoom.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Endpoints: fake.Endpoints(),
		RedirectURL: "http://127.0.0.1:3001/callback", Tokens: tokens,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer z.Shutdown(ctx)
	user := zoomtest.DefaultUser().ID
	drRao := store.AccountID{Provider: zoom.ProviderName, Subject: "dr-rao"}
	_ = store.Set(ctx, tokens, drRao, store.Token{Access: telemed.NewSecret("access"), Account: store.Account{ID: user}})

	webhook, err := zoom.NewWebhook(zoom.WebhookConfig{
		Secrets: []telemed.Secret{fake.WebhookSecret()},
		Handle: func(ctx context.Context, e zoom.Event) error {
			switch e.Name {
			case zoom.EventAppDeauthorized:
				doctors, err := z.Deauthorized(ctx, e)
				fmt.Println("to be forgotten:", doctors)
				return err
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer webhook.Shutdown(ctx)
	server := httptest.NewServer(webhook)
	defer server.Close()
	fake.Uninstall(user)
	status, _, err := fake.SendWebhook(server.URL, fake.DeauthorizedEvent(user))
	fmt.Println(status, err)
	_, err = tokens.Get(ctx, drRao)
	fmt.Println("tokens are gone:", errors.Is(err, telemed.ErrNotFound))
	// Output:
	// to be forgotten: [dr-rao]
	// 200 <nil>
	// tokens are gone: true
}
