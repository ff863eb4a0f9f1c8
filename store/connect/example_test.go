package connect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// A doctor connects Zoom in a browser, sees it in the settings, and disconnects it again.
// One handler does all of it; who is logged in is the application's to say.
func Example() {
	ctx := context.Background()
	fake, err := zoomtest.Start(zoomtest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	mux := http.NewServeMux()
	hospital := httptest.NewServer(mux)
	defer hospital.Close()

	tokens := store.NewMemory() // a database, in earnest: store/sqlstore, store/mongostore
	z, err := zoom.New(zoom.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), RedirectURL: hospital.URL + "/zoom/callback",
		Tokens: tokens, Endpoints: fake.Endpoints(), // leave Endpoints out to reach Zoom
	})
	if err != nil {
		log.Fatal(err)
	}
	defer z.Shutdown(ctx)
	keyring, err := store.NewKeyring(store.NewKey()) // from the environment, in earnest
	if err != nil {
		log.Fatal(err)
	}
	connector, err := connect.New(connect.Config{
		Providers: []oauth.Provider{z.OAuth()}, Tokens: tokens, Seal: keyring, ReturnURL: hospital.URL + "/settings",
		// From the session.
		Subject: func(*http.Request) (string, error) { return "dr-rao", nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	mux.Handle("/{provider}/{action}", connector)

	browser := newExampleBrowser()
	consentPage := browser.location(hospital.URL + "/zoom/connect")
	callback, err := fake.Authorize(consentPage) // a click on Allow
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ends at", browser.location(callback)[len(hospital.URL):])
	fmt.Print(browser.get(hospital.URL + "/zoom/status"))
	fmt.Print(browser.post(hospital.URL + "/zoom/disconnect"))
	fmt.Print(browser.get(hospital.URL + "/zoom/status"))
	// Output:
	// ends at /settings?provider=zoom&success=true
	// {"provider":"zoom","connected":true,"needs_reconnect":false,"email":"dr.rao@clinic.example"}
	// {"connected":false,"provider":"zoom","revoked":true}
	// {"provider":"zoom","connected":false,"needs_reconnect":false}
}

// An application with a user interface of its own begins and finishes the flow itself.
// Why a flow failed is a Reason, for the application's own words.
func ExampleConnector_Begin() {
	connector, fake, _ := forDrRao()
	defer fake.Close()

	w := httptest.NewRecorder()
	consentPage, err := connector.Begin(w, httptest.NewRequest(http.MethodPost, "/api/zoom/connect", nil), "zoom", "/onboarding?step=3")
	if err != nil {
		log.Fatal(err)
	}
	callback, err := fake.Deny(consentPage) // a click on Deny
	if err != nil {
		log.Fatal(err)
	}

	r := httptest.NewRequest(http.MethodGet, callback, nil)
	// Without the flow's cookie it is somebody else's flow.
	for _, cookie := range w.Result().Cookies() {
		r.AddCookie(cookie)
	}
	result, err := connector.Finish(httptest.NewRecorder(), r, "zoom")
	if failed, ok := errors.AsType[*connect.FlowError](err); ok {
		fmt.Println("tell the doctor:", failed.Reason)
	}
	fmt.Println("go on at:", result.ReturnTo) // also when it failed
	// Output:
	// tell the doctor: denied
	// go on at: /onboarding?step=3
}

// A page that logs in by a bearer token, or by a cookie with SameSite=Strict, begins and
// finishes by its script. This is what the script does:
//
//	// on the settings page
//	const doctor = {method: "POST", headers: {Authorization: bearer}};
//	const begun = await fetch("/api/zoom/begin", doctor);
//	location.assign((await begun.json()).url);
//
//	// on the page at RedirectURL
//	await fetch("/api/zoom/finish" + location.search, doctor);
func ExampleConnector_Begin_bearer() {
	connector, fake, _ := forDrRao() // in earnest, Subject reads the Authorization header
	defer fake.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/zoom/begin", func(w http.ResponseWriter, r *http.Request) {
		consentPage, err := connector.Begin(w, r, "zoom", "")
		if err != nil { // *connect.FlowError has the Reason
			http.Error(w, "not begun", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"url": consentPage})
	})
	mux.HandleFunc("POST /api/zoom/finish", func(w http.ResponseWriter, r *http.Request) {
		result, err := connector.Finish(w, r, "zoom")
		if err != nil {
			http.Error(w, "not connected", http.StatusConflict)
			return
		}
		fmt.Fprint(w, "connected ", result.Account.Email)
	})
	hospital := httptest.NewServer(mux)
	defer hospital.Close()

	page := newExampleBrowser()
	var begun struct{ URL string }
	if err := json.Unmarshal([]byte(page.post(hospital.URL+"/api/zoom/begin")), &begun); err != nil {
		log.Fatal(err)
	}
	callback, err := fake.Authorize(begun.URL) // a click on Allow
	if err != nil {
		log.Fatal(err)
	}
	_, query, _ := strings.Cut(callback, "?") // location.search
	fmt.Println(page.post(hospital.URL + "/api/zoom/finish?" + query))
	// Output: connected dr.rao@clinic.example
}

// Nobody gets in by a callback that this browser did not begin, whatever its state says.
// The doctor ends at the application's page all the same, with the reason.
func ExampleConnector_ServeHTTP() {
	connector, fake, _ := forDrRao()
	defer fake.Close()
	mux := http.NewServeMux()
	mux.Handle("/api/auth/{provider}/doctor/{action}", connector)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/auth/zoom/doctor/callback?code=x&state=dr-rao", nil))
	fmt.Println(w.Code, w.Header().Get("Location"))
	// Output: 303 http://127.0.0.1:3001/settings?provider=zoom&reason=expired&success=false
}

// A doctor leaves the hospital: the account is forgotten here, and the grant is withdrawn
// at the provider. To forget what is not there is no error.
func ExampleConnector_Forget() {
	ctx := context.Background()
	connector, fake, tokens := forDrRao()
	defer fake.Close()
	drRao := store.AccountID{Provider: zoom.ProviderName, Subject: "dr-rao"}
	token := store.Token{
		Access: telemed.NewSecret("access"), Refresh: telemed.NewSecret("refresh"), Expiry: time.Now().Add(time.Hour),
		Scopes: zoom.DefaultScopes(), Account: store.Account{ID: zoomtest.DefaultUser().ID},
	}
	fake.Restore(token)
	if err := store.Set(ctx, tokens, drRao, token); err != nil {
		log.Fatal(err)
	}

	for range 2 {
		revoked, err := connector.Forget(ctx, drRao)
		fmt.Println("revoked:", revoked, err)
	}
	_, err := tokens.Get(ctx, drRao)
	fmt.Println("gone:", errors.Is(err, telemed.ErrNotFound))
	// Output:
	// revoked: true <nil>
	// revoked: false <nil>
	// gone: true
}

// forDrRao returns a Connector in whose session Dr. Rao is logged in, with the Zoom and
// the store that it works on. Example builds one step by step.
func forDrRao() (*connect.Connector, *zoomtest.Server, *store.Memory) {
	fake, err := zoomtest.Start(zoomtest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	tokens := store.NewMemory()
	z, err := zoom.New(zoom.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), RedirectURL: "http://127.0.0.1:3001/zoom/callback",
		Tokens: tokens, Endpoints: fake.Endpoints(),
	})
	if err != nil {
		log.Fatal(err)
	}
	keyring, err := store.NewKeyring(store.NewKey())
	if err != nil {
		log.Fatal(err)
	}
	connector, err := connect.New(connect.Config{
		Providers: []oauth.Provider{z.OAuth()}, Tokens: tokens, Seal: keyring, ReturnURL: "http://127.0.0.1:3001/settings",
		Subject: func(*http.Request) (string, error) { return "dr-rao", nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	return connector, fake, tokens
}

// exampleBrowser keeps cookies and follows no redirect.
type exampleBrowser struct{ client *http.Client }

func newExampleBrowser() exampleBrowser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	return exampleBrowser{&http.Client{
		Jar:           jar,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// location returns where the page sends the browser.
func (b exampleBrowser) location(page string) string {
	resp, err := b.client.Get(page)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.Header.Get("Location")
}

func (b exampleBrowser) get(page string) string  { return answer(b.client.Get(page)) }
func (b exampleBrowser) post(page string) string { return answer(b.client.Post(page, "", nil)) }

func answer(resp *http.Response, err error) string {
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	return string(body)
}
