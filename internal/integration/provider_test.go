package integration_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// exchange is a refresh token that was sent to the token endpoint.
type exchange struct {
	process       string
	spent, issued string // issued is empty if the endpoint refused
	arrived       time.Time
	answered      time.Time // when the answer was written; zero while it was not
}

// provider is zoomtest behind a token endpoint that keeps a ledger of who spent what and
// when.
type provider struct {
	fake  *zoomtest.Server
	front *httptest.Server
	// latency is the longest pause before and after the work of an exchange.
	latency time.Duration
	// kills has a token that is spent again end its whole grant.
	kills bool

	mu sync.Mutex
	// arrived is told of each exchange before it is done. May be nil.
	arrived func(process string)
	ledger  []exchange
	owner   map[string]string // refresh token to doctor
	last    map[string]string // doctor to the newest refresh token
	ended   map[string]bool   // doctors whose grant was ended by that
}

func newProvider(t *testing.T, doctors int, ttl, latency time.Duration) *provider {
	t.Helper()
	cfg := zoomtest.Config{TokenLifetime: ttl}
	for n := range doctors {
		name := doctorKey(n).Subject
		cfg.Users = append(cfg.Users, zoomtest.User{ID: "u-" + name, AccountID: "a-clinic", Email: name + "@clinic.example", Name: name})
	}
	p := &provider{fake: zoomtest.NewServer(t, cfg), latency: latency, owner: map[string]string{}, last: map[string]string{}, ended: map[string]bool{}}
	p.front = httptest.NewServer(http.HandlerFunc(p.token))
	t.Cleanup(p.front.Close)
	return p
}

func (p *provider) endpoints() zoom.Endpoints {
	endpoints := p.fake.Endpoints()
	endpoints.Token = p.front.URL
	return endpoints
}

// token hands a request on to zoomtest, also if its sender has died meanwhile: a request
// that has left cannot be called back.
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
	if err != nil {
		return
	}
	form, _ := url.ParseQuery(string(body))
	now := exchange{process: r.Header.Get(processHeader), spent: form.Get("refresh_token"), arrived: time.Now()}
	p.announce(now)
	p.pause()
	status, answer, err := p.answer(r, body, now.spent)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	var issued struct {
		RefreshToken string `json:"refresh_token"`
	}
	_ = json.Unmarshal(answer, &issued) // a refusal has none
	now.issued = issued.RefreshToken
	p.note(now)
	p.pause()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(answer) // whoever waits for it may be dead
	p.written(now)
}

// answer is zoomtest's, unless the grant was ended here.
func (p *provider) answer(r *http.Request, body []byte, spent string) (status int, answer []byte, err error) {
	p.mu.Lock()
	ended := p.ended[p.owner[spent]]
	p.mu.Unlock()
	if ended {
		return http.StatusBadRequest, []byte(`{"reason":"Invalid Token!","error":"invalid_grant"}`), nil
	}
	return p.forward(r, body)
}

func (p *provider) announce(e exchange) {
	p.mu.Lock()
	arrived := p.arrived
	p.mu.Unlock()
	if arrived != nil && e.spent != "" {
		arrived(e.process)
	}
}

func (p *provider) pause() {
	if p.latency > 0 {
		<-time.After(rand.N(p.latency))
	}
}

func (p *provider) forward(r *http.Request, body []byte) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), exchangeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, p.fake.Endpoints().Token, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header = r.Header.Clone()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

func (p *provider) note(e exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	doctor := p.owner[e.spent]
	if e.spent == "" {
		doctor = e.process // a consent; see connect
		delete(p.ended, doctor)
	} else {
		p.ledger = append(p.ledger, e)
		p.ended[doctor] = p.ended[doctor] || p.kills && e.issued == ""
	}
	if e.issued != "" {
		p.owner[e.issued], p.last[doctor] = doctor, e.issued
	}
}

// written notes that an answer has left.
func (p *provider) written(e exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.ledger {
		if p.ledger[i] == e {
			p.ledger[i].answered = time.Now()
		}
	}
}

// newest is the doctor's only refresh token that is not spent.
func (p *provider) newest(doctor string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[doctor]
}

// spend returns the exchange that spent token.
func (p *provider) spend(token string) (exchange, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.ledger {
		if e.spent == token && e.issued != "" {
			return e, true
		}
	}
	return exchange{}, false
}

// moments are a doctor's exchanges.
func (p *provider) moments(doctor string) (all []moment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.ledger {
		if p.owner[e.spent] != doctor {
			continue
		}
		all = append(all, moment{e.arrived, fmt.Sprintf("%s sends %.14s", e.process, e.spent)})
		if !e.answered.IsZero() {
			all = append(all, moment{e.answered, fmt.Sprintf("%s is answered %.14s", e.process, cmp.Or(e.issued, "no"))})
		}
	}
	return all
}

// reuses returns each exchange of a token that was spent, with the one that spent it.
func (p *provider) reuses() [][2]exchange {
	p.mu.Lock()
	ledger := append([]exchange(nil), p.ledger...)
	p.mu.Unlock()
	var found [][2]exchange
	for _, e := range ledger {
		if first, spent := p.spend(e.spent); spent && e.issued == "" {
			found = append(found, [2]exchange{first, e})
		}
	}
	return found
}

// connect has a doctor consent, and stores the token as store/connect does.
func (p *provider) connect(t *testing.T, tokens store.TokenStore, n int) {
	t.Helper()
	doctor := doctorKey(n)
	cfg := childConfig{Name: doctor.Subject, Exchange: exchangeTime, Endpoints: p.endpoints(), ClientID: p.fake.ClientID(), Secret: p.fake.ClientSecret().Reveal()}
	source, z, err := cfg.source(tokens, nil)
	require.NoError(t, err)
	require.NoError(t, source.Shutdown(t.Context()))
	verifier := oauth2.GenerateVerifier()
	callback, err := p.fake.AuthorizeAs(z.OAuth().AuthCodeURL("state-"+strconv.Itoa(n), verifier), "u-"+doctor.Subject)
	require.NoError(t, err)
	address, err := url.Parse(callback)
	require.NoError(t, err)
	token, err := z.OAuth().Exchange(t.Context(), address.Query().Get("code"), verifier)
	require.NoError(t, err)
	require.NoError(t, store.Set(t.Context(), tokens, doctor, token))
}
