package integration_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/store/sqlstore"
)

const fleetSize = 4

// fleet is some processes on one database, before one provider.
type fleet struct {
	provider *provider
	tokens   *sqlstore.Store
	cfg      childConfig

	mu    sync.Mutex
	dead  map[string]time.Time // process to when it was killed
	saves []save
	gave  map[string]bool // "process effect": what processes gave up
	told  []moment        // what was done to processes
	late  map[string]bool // refresh tokens whose answer came too late
	count int
}

// save is a process's word that it has saved a new token.
type save struct {
	process, doctor string
	at              time.Time
}

// moment is something that happened.
type moment struct {
	at   time.Time
	what string
}

// tell notes what is done to a process, for the history of a failure.
func (f *fleet) tell(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, moment{time.Now(), what})
}

// history tells what became of a doctor's tokens, for a failure's message.
func (f *fleet) history(doctor string) string {
	all := f.provider.moments(doctor)
	f.mu.Lock()
	all = append(all, f.told...)
	for _, s := range f.saves {
		if s.doctor == doctor {
			all = append(all, moment{s.at, s.process + " has saved"})
		}
	}
	f.mu.Unlock()
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	var text strings.Builder
	for _, m := range all {
		fmt.Fprintf(&text, "%s %s\n", m.at.Format("15:04:05.000"), m.what)
	}
	return text.String()
}

// newFleet connects the doctors and starts nothing.
func newFleet(t *testing.T, d database, ttl, latency time.Duration, doctors int) *fleet {
	t.Helper()
	dsn := d.dsn(t)
	tables := d.tables(t, d.open(t, dsn))
	tokens := openStore(t, tables)
	p := newProvider(t, doctors, ttl, latency)
	for n := range doctors {
		p.connect(t, tokens, n)
	}
	return &fleet{
		provider: p, tokens: tokens, dead: map[string]time.Time{}, late: map[string]bool{},
		cfg: childConfig{
			Driver: d.driver, Dialect: d.dialect, DSN: dsn, Table: tables.Table, Doctors: doctors, Exchange: exchangeTime,
			Endpoints: p.endpoints(), ClientID: p.fake.ClientID(), Secret: p.fake.ClientSecret().Reveal(),
		},
	}
}

// process is one running member of a fleet.
type process struct {
	name    string
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	reports chan report // those that are no saves; closed at the end of its output
	stderr  output
}

// output keeps what a process complains of.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs this test binary once more, as a child. It ends with the test at the latest;
// if the test is killed, by the end of its input.
func (f *fleet) start(t *testing.T, load bool) *process {
	t.Helper()
	f.mu.Lock()
	f.count++
	cfg := f.cfg
	cfg.Name, cfg.Load = fmt.Sprint("process-", f.count), load
	f.mu.Unlock()
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	program, err := os.Executable()
	require.NoError(t, err)
	p := &process{name: cfg.Name, cmd: exec.CommandContext(t.Context(), program), reports: make(chan report, 64)}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	p.cmd.Stderr = &p.stderr
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Wait() }) // t.Context has ended it, if the test has not
	go f.read(p, stdout)
	return p
}

// read sorts a process's output until its end.
func (f *fleet) read(p *process, stdout io.Reader) {
	defer close(p.reports)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var r report
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue // cut by a kill
		}
		if r.Late != "" {
			f.tell(fmt.Sprintf("%s has waited %v for an answer to %.14s", p.name, r.Took, r.Late))
			f.mu.Lock()
			f.late[r.Late] = f.late[r.Late] || r.Took >= f.cfg.patience()
			f.mu.Unlock()
			continue
		}
		if r.Gave != "" {
			f.mu.Lock()
			f.gave[p.name+" "+r.Gave] = true
			f.mu.Unlock()
			continue
		}
		if r.Saved == "" {
			p.reports <- r
			continue
		}
		f.mu.Lock()
		f.saves = append(f.saves, save{p.name, r.Saved, time.Unix(0, r.At)})
		f.mu.Unlock()
	}
}

// hasSaved reports whether the process has said that it saved a token of the doctor after
// a moment.
func (f *fleet) hasSaved(process, doctor string, after time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.saves, func(s save) bool {
		return s.process == process && s.doctor == doctor && !s.at.Before(after)
	})
}

// cameLate reports whether a process has waited for the answer to a refresh token for as
// long as it was told to. A machine can be so busy that the provider takes longer, and then
// the answer is as good as lost. A process that gave up before is a bug. It says nothing of
// processes that are frozen.
func (f *fleet) cameLate(token string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.late[token]
}

// killed returns when the process was killed.
func (f *fleet) killed(process string) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.dead[process]
	return at, ok
}

// stop ends a process as a deploy does, once its input is closed, and returns what it
// reports at last.
func (p *process) stop() (last report, err error) {
	for r := range p.reports {
		last = r
	}
	if err := p.cmd.Wait(); err != nil {
		return last, fmt.Errorf("%s: %w: %s", p.name, err, p.stderr.String())
	}
	return last, nil
}

// stopAll ends the processes together.
func stopAll(t *testing.T, processes []*process) (last []report) {
	t.Helper()
	for _, p := range processes {
		require.NoError(t, p.stdin.Close())
	}
	for _, p := range processes {
		r, err := p.stop()
		require.NoError(t, err)
		last = append(last, r)
	}
	return last
}
