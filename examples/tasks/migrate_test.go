package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/notify/whatsapp"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// nodeEnv is the .env of a Node backend, as it is.
func nodeEnv() map[string]string {
	return map[string]string{
		"GOOGLE_CLIENT_ID": "123.apps.googleusercontent.com", "GOOGLE_CLIENT_SECRET": "…",
		"GOOGLE_REDIRECT_URI": "https://api.lotus.example/api/auth/google/doctor/callback",
		"ZOOM_CLIENT_ID":      "zoom", "ZOOM_CLIENT_SECRET": "…",
		"ZOOM_REDIRECT_URI": "https://api.lotus.example/api/auth/zoom/doctor/callback",
		"RAZORPAY_KEY_ID":   "rzp_live_0123456789abcd", "RAZORPAY_KEY_SECRET": "…",
		"EMAIL_HOST": "smtp.lotus.example", "EMAIL_PORT": "587", "EMAIL_USER": "care", "EMAIL_PASS": "…",
		"EMAIL_FROM":               "Lotus Clinic <care@lotus.example>",
		"WHATSAPP_PHONE_NUMBER_ID": "100000000000001", "WHATSAPP_ACCESS_TOKEN": "…",
		"FRONTEND_URL": "https://lotus.example", "CORS_ORIGIN": "*",
	}
}

// The variables stay. FromEnv of each leaf reads them, and New names what is missing or
// wrong. These are new:
//
//   - CLINIC_KEY, or a name of yours: openssl rand -base64 32. It seals tokens, which lay in
//     clear
//   - RAZORPAY_WEBHOOK_SECRET, WHATSAPP_APP_SECRET and WHATSAPP_VERIFY_TOKEN for webhooks,
//     ZOOM_WEBHOOK_SECRET to learn that a doctor has removed the app at Zoom
//
// CORS_ORIGIN names pages. Unset, only pages of the server itself connect; "*" would have
// let any page read a clinic's room with the cookies of who is logged in, and is refused.
func Example_migrateEnvironment() {
	env := nodeEnv()
	getenv, tokens := func(name string) string { return env[name] }, store.NewMemory() // os.Getenv
	nobody := func(context.Context, realtime.Client, string) error { return telemed.ErrForbidden }
	start := func() error {
		_, err1 := googlemeet.New(googlemeet.FromEnv(getenv, tokens))
		_, err2 := zoom.New(zoom.FromEnv(getenv, tokens))
		_, err3 := razorpay.New(razorpay.FromEnv(getenv))
		_, err4 := smtp.New(smtp.FromEnv(getenv))
		_, err5 := whatsapp.New(whatsapp.FromEnv(getenv))
		_, err6 := socketio.New(socketio.FromEnv(getenv, nil, nobody))
		return errors.Join(err1, err2, err3, err4, err5, err6)
	}
	fmt.Println(start())
	env["CORS_ORIGIN"] = "https://lotus.example"
	fmt.Println(start())
	delete(env, "CORS_ORIGIN")
	delete(env, "EMAIL_HOST")
	fmt.Println(start())
	// Output:
	// socketio: AllowedOrigins have no "*": name the origins of the pages, or set AllowAnyOrigin in code if the rooms are public: correct CORS_ORIGIN
	// <nil>
	// smtp: Addr is required: set EMAIL_HOST
}

// Doctors stay connected, and pages stay as they are: the routes, the page where a consent
// ends, the room "clinic-<id>", its "join-clinic" and "new-appointment".
//
// mongostore.ImportSeed brings all tokens over, Google's from googleMeetToken and Zoom's by a
// second call with its TokenField. Run it before the first doctor can connect here.
//
// Both can run side by side, with the proxy in front deciding by path:
//
//   - Each path under /api/auth moves with all code that uses its provider's tokens, at once.
//     A refresh token of Zoom can be spent once: of two backends that refresh, one loses it.
//   - Rooms can be served by both. The realtime.Journal of realtime/redisstream is the stream of
//     @socket.io/redis-streams-adapter: set it as Config.Journal of the Hub, with
//     InsecureClear as long as Node reads it.
//   - Meetings that Node made are moved and cancelled by the ids that it has stored.
//
// Node's routes took the doctor's id from the query or the state. Here the session says who
// it is. A page that logs in by a bearer token cannot send it with a link: it begins and
// finishes by script, as the Example of connect.Connector.Begin with the suffix bearer does.
func Example_migrate() {
	ctx := context.Background()
	fake, err := zoomtest.Start(zoomtest.Config{}) // zoom.us
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	env := nodeEnv()
	env["ZOOM_CLIENT_ID"], env["ZOOM_CLIENT_SECRET"], env["ZOOM_BASE_URL"] = fake.ClientID(), fake.ClientSecret().Reveal(), fake.URL()
	env["ZOOM_REDIRECT_URI"], env["CLINIC_KEY"] = server.URL+"/api/auth/zoom/doctor/callback", store.NewKey().Reveal()
	env["CORS_ORIGIN"] = env["FRONTEND_URL"]
	getenv := func(name string) string { return env[name] }

	keys, err1 := store.KeyringFromEnv(getenv, "CLINIC_KEY")
	tokens := store.NewMemory() // mongostore.New, over the same MongoDB
	z, err2 := zoom.New(zoom.FromEnv(getenv, tokens))
	google, err3 := googlemeet.New(googlemeet.FromEnv(getenv, tokens))
	// user is your session.
	user := func(r *http.Request) (string, error) { return r.Header.Get("X-Forwarded-User"), nil }
	if err := errors.Join(err1, err2, err3); err != nil {
		log.Fatal(err)
	}
	accounts, err1 := connect.New(connect.Config{
		Providers: []oauth.Provider{google.OAuth(), z.OAuth()}, Tokens: tokens, Seal: keys, Subject: user,
		ReturnURL: getenv("FRONTEND_URL") + "/doctor/settings/integration",
	})
	live, err2 := socketio.New(socketio.FromEnv(getenv, user, func(_ context.Context, who realtime.Client, room string) error {
		if who.Subject == "desk" && room == "clinic-7" { // your staff table; Node let anybody in
			return nil
		}
		return telemed.ErrForbidden
	}))
	if err := errors.Join(err1, err2); err != nil {
		log.Fatal(err)
	}
	defer telemed.Shutdown(10*time.Second, live, server.Config, z, google)
	mux.Handle("/api/auth/{provider}/doctor/{action}", accounts)
	mux.Handle("/socket.io/", live)

	// One document's googleMeetToken, as ImportSeed reads them all.
	token, err := googlemeet.ParseNodeCredentials([]byte(`{"access_token": "ya29.a", "refresh_token": "1//0r",
		"token_type": "Bearer", "expiry_date": 1772361000000, "scope": "openid https://www.googleapis.com/auth/calendar.events"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("imported:", store.Set(ctx, tokens, store.AccountID{Provider: "google", Subject: "dr-rao"}, token))

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(address string) string {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("X-Forwarded-User", "dr-rao")
		resp, err := browser.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header.Get("Location")
	}
	callback, err := fake.Authorize(get(server.URL + "/api/auth/zoom/doctor/connect"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the consent ends at", get(callback))

	dial := func(page string) (*realtimetest.Client, error) {
		header := http.Header{"X-Forwarded-User": {"desk"}, "Origin": {page}}
		return realtimetest.Dial(ctx, server.URL, realtimetest.Options{Header: header})
	}
	_, err = dial("https://elsewhere.example")
	fmt.Println("a page of another site:", err)
	dashboard, err := dial(getenv("FRONTEND_URL"))
	if err != nil {
		log.Fatal(err)
	}
	answer, err := dashboard.EmitAck(ctx, "join-clinic", "7")
	fmt.Printf("join-clinic: %s %v\n", answer, err)
	err = live.Broadcast(ctx, "clinic-7", realtime.Event{Name: "new-appointment", Data: map[string]string{"patientName": "Asha"}})
	event, err2 := dashboard.Next(ctx)
	fmt.Println(event.Name, string(event.Data), errors.Join(err, err2))
	// Output:
	// imported: <nil>
	// the consent ends at https://lotus.example/doctor/settings/integration?provider=zoom&success=true
	// a page of another site: realtimetest: Dial: refused with 403 (code 4): Forbidden
	// join-clinic: {"ok":true} <nil>
	// new-appointment {"patientName":"Asha"} <nil>
}
