package zoom_test

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// A visit from the doctor's consent to its end. store/connect does the first half in a host.
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
