package oauth_test

import (
	"context"
	"fmt"
	"log"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// Two doctors share an account, and leave one after the other. Providers withdraw a grant
// for all who have it, so it ends with the second one.
func ExampleProvider_Withdraw() {
	ctx := context.Background()
	zoom := oauth.Provider{ // in earnest, (*zoom.Client).OAuth
		Name:   "zoom",
		Revoke: func(context.Context, store.Token) error { return nil },
	}
	tokens := store.NewMemory()
	shared := store.Token{Access: telemed.NewSecret("access"), Account: store.Account{ID: "u-clinic"}}
	doctors := []store.AccountID{{Provider: "zoom", Subject: "dr-rao"}, {Provider: "zoom", Subject: "dr-sen"}}
	for _, id := range doctors {
		if err := store.Set(ctx, tokens, id, shared); err != nil {
			log.Fatal(err)
		}
	}

	for _, id := range doctors {
		if err := tokens.Delete(ctx, id); err != nil { // first, so that nobody uses it
			log.Fatal(err)
		}
		revoked, err := zoom.Withdraw(ctx, tokens, id, shared)
		fmt.Println(id.Subject, revoked, err)
	}
	// Output:
	// dr-rao false <nil>
	// dr-sen true <nil>
}
