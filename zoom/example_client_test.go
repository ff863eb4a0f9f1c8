package zoom_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// drRao is the record of a doctor's account.
var drRao = store.AccountID{Provider: zoom.ProviderName, Subject: "dr-rao"}

// connected returns a client to which Dr. Rao is connected, and the Zoom that it talks
// to. Example tells how a doctor connects.
func connected() (*zoom.Client, *zoomtest.Server) {
	fake, err := zoomtest.Start(zoomtest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	token := store.Token{
		Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh"),
		Expiry: time.Now().Add(time.Hour), Scopes: zoom.DefaultScopes(),
	}
	fake.Restore(token)
	tokens := store.NewMemory()
	if err := store.Set(context.Background(), tokens, drRao, token); err != nil {
		log.Fatal(err)
	}
	z, err := zoom.New(zoom.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Endpoints: fake.Endpoints(),
		RedirectURL: "http://127.0.0.1:3001/callback", Tokens: tokens,
	})
	if err != nil {
		log.Fatal(err)
	}
	return z, fake
}

// A visit is moved, and the link that the patient has stays good. The request is the
// whole new state, with the Key that made the meeting.
func ExampleClient_Update() {
	ctx := context.Background()
	z, fake := connected()
	defer fake.Close()
	defer z.Shutdown(ctx)
	req := meet.Request{Key: "appt-42", Start: time.Date(2126, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute}
	m, err := z.Create(ctx, "dr-rao", req)
	if err != nil {
		log.Fatal(err)
	}

	req.Start = req.Start.Add(time.Hour)
	moved, err := z.Update(ctx, "dr-rao", m.ID, req)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("begins", moved.Start.Format(time.Kitchen), "at the same link:", moved.JoinURL == m.JoinURL)

	req.Key = "appt-43" // another appointment's
	_, err = z.Update(ctx, "dr-rao", m.ID, req)
	fmt.Println("another key cannot move it:", errors.Is(err, telemed.ErrConflict))
	// Output:
	// begins 6:00AM at the same link: true
	// another key cannot move it: true
}

// Doctors move and delete meetings in Zoom's own pages too. Get tells how it stands there
// now.
func ExampleClient_Get() {
	ctx := context.Background()
	z, fake := connected()
	defer fake.Close()
	defer z.Shutdown(ctx)
	m, err := z.Create(ctx, "dr-rao", meet.Request{
		Key: "appt-42", Start: time.Date(2126, 3, 1, 5, 0, 0, 0, time.UTC), Duration: 30 * time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}

	inZoom := fake.Meetings()[0].ID
	fake.Edit(inZoom, func(m *zoomtest.Meeting) { m.Start = m.Start.Add(15 * time.Minute) })
	now, err := z.Get(ctx, "dr-rao", m.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("begins", now.Start.Format(time.Kitchen))

	fake.Delete(inZoom)
	_, err = z.Get(ctx, "dr-rao", m.ID)
	fmt.Println("is gone:", errors.Is(err, telemed.ErrNotFound))
	fmt.Println("cancelled:", z.Cancel(ctx, "dr-rao", m.ID)) // what is gone already is no error
	// Output:
	// begins 5:15AM
	// is gone: true
	// cancelled: <nil>
}

// What this package does not do, the application does with the doctor's token. Take it
// from here each time: Zoom's refresh tokens can be spent once, and a second refresher
// would spend this one's.
func ExampleClient_Tokens() {
	ctx := context.Background()
	z, fake := connected()
	defer fake.Close()
	defer z.Shutdown(ctx)
	fake.ExpireTokens() // no matter: Client renews what is refused

	resp, err := z.Tokens().Client(drRao, nil).Get(fake.Endpoints().API + "/users/me")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var me struct {
		Name string `json:"display_name"`
		Zone string `json:"timezone"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&me); err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.StatusCode, me.Name, me.Zone)
	// Output: 200 Dr. Rao Asia/Kolkata
}

// A signature lets whoever holds it into the meeting, so that it prints as nothing and
// lives for hours. Role comes from the session: one that the page may choose makes every
// patient the host.
func ExampleMeetingSignature() {
	signature, err := zoom.MeetingSignature(zoom.SignatureRequest{
		ClientID: "sdk-client", ClientSecret: telemed.NewSecret("sdk-secret"),
		MeetingID: "82000000001", Role: zoom.RoleParticipant,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("in a log:", signature)

	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(signature.Reveal(), ".")[1])
	if err != nil {
		log.Fatal(err)
	}
	var told struct {
		Meeting  string `json:"mn"`
		Role     int    `json:"role"`
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}
	if err := json.Unmarshal(claims, &told); err != nil {
		log.Fatal(err)
	}
	fmt.Println("meeting", told.Meeting, "role", told.Role, "for", time.Duration(told.Expires-told.IssuedAt)*time.Second)

	_, err = zoom.MeetingSignature(zoom.SignatureRequest{
		// Google's.
		ClientID: "sdk-client", ClientSecret: telemed.NewSecret("sdk-secret"), MeetingID: "abc-mnop-xyz",
	})
	fmt.Println(err)
	// Output:
	// in a log: [redacted]
	// meeting 82000000001 role 0 for 2h0m0s
	// zoom: MeetingSignature: MeetingID is not a Zoom meeting's: those are digits
}
