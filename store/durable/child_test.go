package durable_test

import (
	"context"
	"errors"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

// childEnv is set for a process that works rows, which its parent keeps: they talk over the
// child's standard input and output.
const childEnv = "TELEMED_DURABLE_CHILD"

// pipes are a connection between two processes.
type pipes struct {
	io.Reader
	io.WriteCloser
}

// Call is a call of a Store, Answer what came of it.
type (
	Call struct {
		Item  durable.Item // of Get its ID alone
		Query durable.Query
	}
	Answer struct {
		Item     durable.Item
		Revision string
		IDs      []durable.ID
		Kind     int // of the error, in kinds
		Failed   bool
	}
)

var kinds = []error{telemed.ErrNotFound, telemed.ErrConflict, telemed.ErrInvalid, telemed.ErrUnavailable}

// say tells an error by its kind.
func (a *Answer) say(err error) {
	if a.Failed = err != nil; !a.Failed {
		return
	}
	for n, kind := range kinds {
		if errors.Is(err, kind) {
			a.Kind = n
		}
	}
}

// Rows are a parent's rows, for its children. Its methods are those of package rpc.
type Rows struct{ rows durable.Store }

// Get is that of durable.Store.
func (r Rows) Get(c Call, a *Answer) (err error) {
	a.Item, err = r.rows.Get(context.Background(), c.Item.ID)
	a.say(err)
	return nil
}

// Put is that of durable.Store.
func (r Rows) Put(c Call, a *Answer) (err error) {
	a.Revision, err = r.rows.Put(context.Background(), c.Item)
	a.say(err)
	return nil
}

// Due is that of durable.Store.
func (r Rows) Due(c Call, a *Answer) (err error) {
	a.IDs, err = r.rows.Due(context.Background(), c.Query)
	a.say(err)
	return nil
}

// remote is the Store of a child.
type remote struct{ client *rpc.Client }

func (r remote) call(method string, c Call) (a Answer, err error) {
	if r.client.Call("Rows."+method, c, &a) != nil {
		os.Exit(3) // the parent has gone
	}
	if a.Failed {
		err = kinds[a.Kind]
	}
	return a, err
}

func (r remote) Get(_ context.Context, id durable.ID) (durable.Item, error) {
	a, err := r.call("Get", Call{Item: durable.Item{ID: id}})
	return a.Item, err
}

func (r remote) Put(_ context.Context, item durable.Item) (string, error) {
	a, err := r.call("Put", Call{Item: item})
	return a.Revision, err
}

func (r remote) Due(_ context.Context, q durable.Query) ([]durable.ID, error) {
	a, err := r.call("Due", Call{Query: q})
	return a.IDs, err
}

// alone waits until no other row is in anybody's hands, dead or alive.
func (r remote) alone() {
	q := durable.Query{Kinds: map[string]int{"letter": 1}, Limit: 100, Leased: true}
	for ids, err := r.Due(context.Background(), q); err != nil || len(ids) > 1; ids, err = r.Due(context.Background(), q) {
		time.Sleep(20 * time.Millisecond)
	}
}

// child works rows until it is dead, or its parent is. The row "deadly" kills it: the first
// time together with what else is under way.
func child() {
	p, rows := newPost(), remote{rpc.NewClient(pipes{os.Stdin, os.Stdout})}
	kind := durable.Kind{Version: 1, Plan: func(item durable.Item, now time.Time) (durable.Effect, error) {
		effect, err := p.plan(item, now)
		if item.ID.Name == "deadly" {
			effect.Do = func(context.Context) (durable.Fact, error) {
				if item.Attempts > 0 {
					rows.alone()
				}
				if self, err := os.FindProcess(os.Getpid()); err != nil || self.Kill() != nil {
					os.Exit(4)
				}
				select {} // until the kill has come
			}
		}
		return effect, err
	}}
	r, err := durable.NewRunner(durable.RunnerConfig{
		Store: rows, Kinds: map[string]durable.Kind{"letter": kind},
		LeaseTTL: time.Second, PollEvery: 50 * time.Millisecond, MaxAttempts: 2,
	})
	if err == nil {
		_ = r.Run(context.Background())
	}
	os.Exit(4) // this is no kill
}

// TestAProcessThatAnEffectKills kills real processes. A supervisor starts them again, until
// the row that does it is stuck.
func TestAProcessThatAnEffectKills(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, name := range []string{"a", "b", "c", "deadly", "d", "e"} {
		o.add(name, "", 3)
	}
	server := rpc.NewServer()
	require.NoError(t, server.RegisterName("Rows", Rows{o.rows}))
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	kills := 0
	all.Go(func() {
		for ctx.Err() == nil {
			if !o.live(ctx, server) {
				kills++
			}
		}
	})
	require.Eventually(t, func() bool { item, _ := o.get("deadly"); return item.Stuck != "" && o.sent(3) }, time.Minute, 50*time.Millisecond)
	cancel()
	all.Wait()
	require.Equal(t, 2, kills)
	item, _ := o.get("deadly")
	require.Equal(t, ended, item.Stuck)
	require.Equal(t, 2, item.Attempts)
	require.Zero(t, item.Lease)
}

// live has one process work until it is dead, and reports whether that was the test's doing.
func (o *office) live(ctx context.Context, server *rpc.Server) (buried bool) {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		o.Error(err)
		return false
	}
	server.ServeConn(pipes{out, in}) // until it is dead
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code >= 3 {
		o.Errorf("a process ended by itself: %d", code)
	}
	return ctx.Err() != nil
}

// sent reports whether all letters but the deadly one are sent n times.
func (o *office) sent(n int) bool {
	for item, err := range o.rows.List(context.Background(), durable.Filter{}) {
		if err != nil || item.ID.Name != "deadly" && (read(item).Sent < n || !item.Due.IsZero()) {
			return false
		}
	}
	return true
}
