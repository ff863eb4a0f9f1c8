package zoom_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// schedule is one random story of a Key: two processes with short deadlines and a third
// that dies, whatever can be lost is lost, and the list lags.
type schedule struct {
	*clinic
	random  *rand.Rand
	clients []*zoom.Client

	mu        sync.Mutex
	ids       map[string]bool // that callers hold
	cancelled bool            // a Cancel has said that it is done
}

// TestSchedules plays many. Whoever gets a meeting gets the same one, and there is no
// other; what is cancelled stays so.
func TestSchedules(t *testing.T) {
	t.Parallel()
	const schedules = 100
	for seed := range uint64(schedules) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playSchedule(t, seed) })
		})
	}
}

func playSchedule(t *testing.T, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	cfg := twoAccounts()
	cfg.InMemory, cfg.ListLag, cfg.DailyLimit = true, time.Duration(random.IntN(8))*time.Second, 1000
	c := newClinic(t, cfg)
	s := &schedule{clinic: c, random: random, clients: []*zoom.Client{c.Client, c.another(t)}, ids: map[string]bool{}}
	s.spoil()
	var wg sync.WaitGroup
	for i := range 4 {
		steps := rand.New(rand.NewPCG(seed, uint64(2+i)))
		wg.Go(func() {
			for range 4 {
				time.Sleep(time.Duration(steps.IntN(3000)) * time.Millisecond)
				s.step(t, s.clients[steps.IntN(2)], steps)
			}
		})
	}
	if random.IntN(2) == 0 { // a third process dies in the middle of it
		dying := &dyingClaims{Claims: c.tokens, lives: random.IntN(4)}
		third := c.another(t, func(cfg *zoom.Config) { cfg.Claims = dying })
		wg.Go(func() { s.step(t, third, rand.New(rand.NewPCG(seed, 9))) })
	}
	wg.Wait()
	if random.IntN(2) == 0 { // the doctor has another account for a while
		c.connectAs(t, secondUser.ID)
		for range 4 {
			s.step(t, s.clients[random.IntN(2)], random)
		}
		c.connect(t)
	}
	s.fake.Reset()
	s.settle(t)
}

// spoil plans what goes wrong.
func (s *schedule) spoil() {
	ops := []string{zoomtest.OpCreate, zoomtest.OpCreate, zoomtest.OpList, zoomtest.OpGet, zoomtest.OpDelete, zoomtest.OpUpdate}
	for range s.random.IntN(8) {
		fault := []zoomtest.Fault{
			{LoseAnswer: true}, {LoseRequest: true}, {Cut: true}, {Hang: true}, {Delay: 4 * time.Second},
			{Delay: 4 * time.Second, LoseAnswer: true}, {Status: http.StatusBadGateway, Body: "<html>", LoseAnswer: true},
			{Status: http.StatusNotFound, Body: "<html>"},
		}[s.random.IntN(8)]
		fault.Op = ops[s.random.IntN(len(ops))]
		s.fake.FailNext(fault)
	}
}

// step is a call of one of the processes.
func (s *schedule) step(t *testing.T, client *zoom.Client, random *rand.Rand) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+random.IntN(20))*time.Second)
	defer cancel()
	req := visit(t, "appt-42")
	req.Start = req.Start.Truncate(24 * time.Hour)
	if random.IntN(8) > 0 {
		s.create(t, func() (string, error) {
			m, err := client.Create(ctx, doctor, req)
			if err != nil {
				return "", err
			}
			return m.ID, nil
		})
		return
	}
	for id := range s.held() {
		if client.Cancel(ctx, doctor, id) == nil {
			s.mu.Lock()
			s.cancelled = true
			s.mu.Unlock()
		}
	}
}

func (s *schedule) held() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := map[string]bool{}
	for id := range s.ids {
		held[id] = true
	}
	return held
}

// create notes the id of what was made, and checks that a cancelled visit stays so.
func (s *schedule) create(t *testing.T, call func() (string, error)) {
	t.Helper()
	s.mu.Lock()
	before := s.cancelled
	s.mu.Unlock()
	id, err := call()
	switch {
	case err == nil && before:
		t.Error("a cancelled visit was brought back")
	case err == nil:
		s.mu.Lock()
		s.ids[id] = true
		s.mu.Unlock()
	case errors.Is(err, telemed.ErrConflict), errors.Is(err, telemed.ErrAmbiguous), errors.Is(err, telemed.ErrUnavailable):
	default:
		t.Errorf("Create: %v", err)
	}
}

// settle calls until it is over, with nothing lost any more.
func (s *schedule) settle(t *testing.T) {
	t.Helper()
	req := visit(t, "appt-42")
	req.Start = req.Start.Truncate(24 * time.Hour)
	for try := 1; ; try++ {
		m, err := s.clients[try%2].Create(t.Context(), doctor, req)
		if err == nil {
			s.ids[m.ID] = true
			require.Len(t, s.live(), 1)
			break
		}
		switch {
		case errors.Is(err, meet.ErrOtherAccount):
			s.connectAs(t, secondUser.ID)
			continue
		case errors.Is(err, telemed.ErrConflict):
			require.Empty(t, s.live())
			require.LessOrEqual(t, len(s.ids), 1, "callers hold several meetings")
			return
		}
		require.Less(t, try, 5, "calling again never ends: %v", err)
	}
	require.LessOrEqual(t, len(s.ids), 1, "callers hold several meetings")
	require.False(t, s.cancelled, "a Cancel said that it was done")
}
