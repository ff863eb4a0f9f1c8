package googlemeettest_test

import (
	"fmt"
	"net/url"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store"
)

func Example() {
	fake, err := googlemeettest.Start(googlemeettest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()

	google, err := googlemeet.New(googlemeet.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(),
		RedirectURL: "http://127.0.0.1:3001/callback", Tokens: store.NewMemory(), Endpoints: fake.Endpoints(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	page := google.OAuth().AuthCodeURL("state-1", oauth2.GenerateVerifier())

	callback, _ := fake.Authorize(page) // a click on Allow
	allowed, _ := url.Parse(callback)
	fmt.Println(allowed.Host, allowed.Query().Get("state"), allowed.Query().Has("code"))

	callback, _ = fake.Answer(page, googlemeettest.Consent{Deny: true})
	denied, _ := url.Parse(callback)
	fmt.Println(denied.Query().Get("error"))
	// Output:
	// 127.0.0.1:3001 state-1 true
	// access_denied
}
