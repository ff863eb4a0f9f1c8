package googlemeettest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

// A program that follows a calendar by sync tokens is told with 410 that its token is too
// old. It then begins anew.
func ExampleServer_ExpireSyncTokens() {
	fake, err := googlemeettest.Start(googlemeettest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	fake.Restore(store.Token{
		Access: telemed.NewSecret("access"), Expiry: time.Now().Add(time.Hour), Scopes: []string{googlemeet.ScopeEvents},
	})
	list := func(syncToken string) (status int, next string) {
		query := url.Values{}
		if syncToken != "" {
			query.Set("syncToken", syncToken)
		}
		address := fake.Endpoints().Calendar + "/calendars/primary/events?" + query.Encode()
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, http.NoBody)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer access")
		resp, err := fake.Client().Do(req)
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		var page struct{ NextSyncToken string }
		if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
			log.Fatal(err)
		}
		return resp.StatusCode, page.NextSyncToken
	}

	_, token := list("")
	status, token := list(token)
	fmt.Println(status)
	fake.ExpireSyncTokens()
	status, _ = list(token)
	fmt.Println(status)
	status, _ = list("")
	fmt.Println(status)
	// Output:
	// 200
	// 410
	// 200
}
