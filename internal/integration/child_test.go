package integration_test

import (
	"bufio"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/store/sqlstore"
	"github.com/telemed-go/telemed/zoom"
)

// childEnv holds a childConfig. The test binary that finds it is one of the processes
// of a fleet and runs no tests.
const childEnv = "TELEMED_INTEGRATION_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		if err := runChild(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	leaktest.Main(m)
}

// childConfig tells a process who it is.
type childConfig struct {
	Name      string // of the process
	Driver    string
	Dialect   sqlstore.Dialect
	DSN       string
	Table     string
	Endpoints zoom.Endpoints
	ClientID  string
	Secret    string
	Doctors   int
	Load      bool // ask for tokens all the time, not when told to
	// ClaimsTable is set for a process that claims keys, and refreshes nothing.
	ClaimsTable string
	// RowsTable is set for a process that works durable rows, and refreshes nothing;
	// Effects is where it asks for an effect; if empty, effects are noted and nothing else.
	RowsTable, Effects string
	// Gateway is set for a process that fulfils bills; Effects is where it books.
	Gateway *gatewayConfig
	// Visits is set for a process that is an application with visits.
	Visits   *visitsConfig
	Exchange time.Duration
	Lease    time.Duration // if 0, twice Exchange
	// Spool is a directory that the processes share, if any, SpoolKey its key.
	Spool, SpoolKey string
	// SlowSave is how long the database takes to save a token.
	SlowSave time.Duration

	// late is told of an exchange whose answer was not waited for any longer. May be nil.
	late func(token string, took time.Duration)
}

const (
	callers = 16 // goroutines a process
	// exchangeTime bounds an exchange where nobody is killed, hastyTime where leases have to
	// be taken over soon. A lease lives twice as long, and a quarter of that is what a
	// Source waits for its database at most: a busy machine needs more than that now and
	// then.
	exchangeTime = 20 * time.Second
	hastyTime    = 3 * time.Second
)

// report is a line that a process writes.
type report struct {
	// Saved is the doctor whose new token was saved, At when, in Unix nanoseconds.
	Saved string `json:",omitempty"`
	At    int64  `json:",omitempty"`
	// Access has the access tokens that the callers of a round were given, by doctor.
	Access map[string][]string `json:",omitempty"`
	// Failed has the errors of callers, but for those of accounts that must be reconnected.
	Failed []string `json:",omitempty"`
	// Late is a refresh token that this process has sent, and whose answer it has not waited
	// for any longer, after Took.
	Late string        `json:",omitempty"`
	Took time.Duration `json:",omitempty"`
	// Gave is an effect that this process gave up.
	Gave string `json:",omitempty"`
	// Effects are those that this process noted.
	Effects []noted `json:",omitempty"`
	// Address is where this process listens.
	Address string `json:",omitempty"`
	// Served counts the calls that got a token, or the value of a claim.
	Served int `json:",omitempty"`
	// Won counts the calls that were told that a key is theirs.
	Won int `json:",omitempty"`
	// Values has the values that callers found, each once.
	Values []string `json:",omitempty"`
}

func doctorKey(n int) store.AccountID {
	return store.AccountID{Provider: zoom.ProviderName, Subject: "doctor-" + strconv.Itoa(n)}
}

// processHeader tells the token endpoint which process is asking.
const processHeader = "X-Test-Process"

// named is a client whose requests carry the process's name.
func (c childConfig) named() *http.Client {
	// The shorter of the two timeouts ends an exchange; neither may while the process is frozen.
	return &http.Client{Timeout: c.patience(), Transport: namedTransport{c.Name, c.late}}
}

// patience is how long an answer is waited for.
func (c childConfig) patience() time.Duration { return c.Exchange * 9 / 10 }

type namedTransport struct {
	process string
	late    func(token string, took time.Duration) // may be nil
}

func (n namedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set(processHeader, n.process)
	said := &output{}
	if req.Body != nil {
		req.Body = heard{io.TeeReader(req.Body, said), req.Body}
	}
	begin := time.Now()
	response, err := http.DefaultTransport.RoundTrip(req)
	if err != nil && errors.Is(context.Cause(req.Context()), context.DeadlineExceeded) && n.late != nil {
		form, _ := url.ParseQuery(said.String())
		n.late(form.Get("refresh_token"), time.Since(begin))
	}
	return response, err
}

// heard is a body of which somebody keeps what is read.
type heard struct {
	io.Reader
	io.Closer
}

// source returns what refreshes tokens in this process, as zoom does it.
func (c childConfig) source(tokens store.TokenStore, onRefresh func(store.AccountID)) (*oauth.Source, *zoom.Client, error) {
	z, err := zoom.New(zoom.Config{
		ClientID: c.ClientID, ClientSecret: telemed.NewSecret(c.Secret), RedirectURL: "http://127.0.0.1:3001/callback",
		Tokens: tokens, Endpoints: c.Endpoints, HTTPClient: c.named(),
	})
	if err != nil {
		return nil, nil, err
	}
	tuning := oauth.Tuning{
		Timeout: c.Exchange, LeaseTTL: cmp.Or(c.Lease, 2*c.Exchange), OnRefresh: onRefresh,
		// Kills are so frequent here that the breaker would take the provider for broken.
		MaxRejections: -1,
	}
	if c.Spool != "" {
		if tuning.Spool, err = c.spool(); err != nil {
			return nil, nil, err
		}
	}
	source, err := oauth.NewSource(oauth.SourceConfig{
		Store: slowStore{tokens, c.SlowSave}, Provider: zoom.ProviderName, Refresh: z.OAuth().Refresh, Tuning: tuning,
	})
	if err != nil {
		return nil, nil, err
	}
	_, err = source.Recover(context.Background())
	return source, z, err
}

func (c childConfig) spool() (oauth.Spool, error) {
	ring, err := store.NewKeyring(telemed.NewSecret(c.SpoolKey))
	if err != nil {
		return nil, err
	}
	return oauth.NewFileSpool(c.Spool, ring)
}

// slowStore takes its time to save a token, not to write a lease.
type slowStore struct {
	store.TokenStore
	save time.Duration
}

func (s slowStore) Put(ctx context.Context, rec store.Record) (string, error) {
	if rec.Lease.Owner == "" && rec.Status == store.StatusActive {
		select {
		case <-time.After(s.save):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return s.TokenStore.Put(ctx, rec)
}

type child struct {
	childConfig
	source *oauth.Source
	mu     sync.Mutex // guards stdout
}

func runChild(text string) error {
	c := &child{}
	if err := json.Unmarshal([]byte(text), &c.childConfig); err != nil {
		return err
	}
	if c.Visits != nil {
		return c.haveVisits()
	}
	db, err := sql.Open(c.Driver, c.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(4)
	tokens, err := sqlstore.New(sqlstore.Config{
		DB: db, Dialect: c.Dialect, Table: c.Table, ClaimsTable: c.ClaimsTable, RowsTable: c.RowsTable, InsecureClear: true,
	})
	if err != nil {
		return err
	}
	if c.RowsTable != "" {
		if c.Gateway != nil {
			return c.fulfilBills(tokens.Rows())
		}
		return c.workRows(tokens.Rows())
	}
	if c.ClaimsTable != "" {
		c.claimRounds(tokens)
		return nil
	}
	c.late = func(token string, took time.Duration) { c.write(report{Late: token, Took: took}) }
	c.source, _, err = c.childConfig.source(tokens, func(key store.AccountID) {
		c.write(report{Saved: key.Subject, At: time.Now().UnixNano()})
	})
	if err != nil {
		return err
	}
	if c.Load {
		c.load()
	} else {
		c.rounds()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return c.source.Shutdown(ctx)
}

// write prints one line in one system call: a process that is killed leaves whole lines.
func (c *child) write(r report) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = os.Stdout.Write(append(line, '\n')) // if the parent is gone, so are we
}

// rounds has all callers ask for all tokens at once, at each line of input, and reports
// what they got.
func (c *child) rounds() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		got := newTally()
		var group sync.WaitGroup
		for caller := range callers {
			group.Go(func() {
				for n := range c.Doctors {
					got.ask(c.source, doctorKey((n+caller)%c.Doctors))
				}
			})
		}
		group.Wait()
		c.write(got.report)
	}
}

// load has callers ask for one token after the other until the input ends.
func (c *child) load() {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		}
	}()
	got := newTally()
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for n := caller; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					got.ask(c.source, doctorKey(n%c.Doctors))
				}
			}
		})
	}
	group.Wait()
	got.report.Access = nil
	c.write(got.report)
}

// tally is what the callers of a process got.
type tally struct {
	mu     sync.Mutex
	report report
	seen   map[string]bool
}

func newTally() *tally {
	return &tally{report: report{Access: map[string][]string{}}, seen: map[string]bool{}}
}

func (g *tally) ask(source *oauth.Source, key store.AccountID) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	token, err := source.Token(ctx, key)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case errors.Is(err, telemed.ErrReconnect):
	case err != nil:
		g.report.Failed = append(g.report.Failed, err.Error())
	default:
		g.report.Served++
		access := token.Access.Reveal()
		if !g.seen[access] {
			g.seen[access] = true
			g.report.Access[key.Subject] = append(g.report.Access[key.Subject], access)
		}
	}
}
