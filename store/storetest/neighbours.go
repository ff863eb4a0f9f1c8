package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// neighbours are other accounts, which are written to while a clause runs. Nobody else
// writes to them, so each write must succeed and be found.
type neighbours struct {
	records []store.Record
	known   map[store.AccountID]bool
	writes  int
	onWay   chan error // of the write that runs
}

// neighbourIDs look like key: to a pattern, a collation, a padded or a cut column, a text
// of provider and subject without a border.
func neighbourIDs() []store.AccountID {
	var ids []store.AccountID
	for _, subject := range []string{
		"doctor%", "doctor_%", "%", "_", "doctor*", "doctor?1", "doctor.1", "doctora1", "doctor 1", "Doctor_1", "DOCTOR_1",
		"doctor_1 ", " doctor_1", "doctor_", "doctor_11", "doctor_1/1", "doctor_1:1",
	} {
		ids = append(ids, store.AccountID{Provider: key.Provider, Subject: subject})
	}
	for _, provider := range []string{"zoo", "zoo_", "zooma", "zoom-", "google"} {
		ids = append(ids, store.AccountID{Provider: provider, Subject: key.Subject})
	}
	return append(ids, store.AccountID{Provider: "zoo", Subject: "mdoctor_1"}, store.AccountID{Provider: "zoomd", Subject: "octor_1"})
}

// settleIn puts the neighbours, before a clause's first call.
func (c *tokensTest) settleIn() {
	c.Helper()
	if c.neighbours.known != nil {
		return
	}
	c.neighbours.known = map[store.AccountID]bool{}
	for i, id := range neighbourIDs() {
		rec := small(id, fmt.Sprint("neighbour-", i))
		if i%2 == 0 {
			rec.Status = store.StatusReconnect
		}
		revision, err := c.handle(i).Put(c.Context(), rec)
		if err != nil {
			c.Fatalf("a neighbour, %v: Put: %v", id, err)
		}
		c.fresh(revision)
		rec.Revision = revision
		c.neighbours.records = append(c.neighbours.records, rec)
		c.neighbours.known[id] = true
	}
}

// stir begins to write to the next neighbour. rest waits for the end.
func (c *tokensTest) stir(st store.TokenStore) {
	ctx, onWay := c.Context(), make(chan error, 1)
	c.neighbours.onWay = onWay
	go func() { onWay <- c.writeNeighbour(ctx, st) }()
}

func (c *tokensTest) rest() {
	c.Helper()
	if c.neighbours.onWay == nil {
		return
	}
	err := <-c.neighbours.onWay
	c.neighbours.onWay = nil
	if err != nil {
		c.Fatalf("beside the clause: %v", err)
	}
}

// wait is rest for a clause that has ended early.
func (n *neighbours) wait() {
	if n.onWay != nil {
		<-n.onWay
	}
}

// writeNeighbour writes to the next neighbour, or has it go and come back.
func (c *tokensTest) writeNeighbour(ctx context.Context, st store.TokenStore) error {
	n := &c.neighbours
	rec := &n.records[n.writes%len(n.records)]
	n.writes++
	if n.writes%3 == 0 {
		if err := deleteNeighbour(ctx, st, rec.ID); err != nil {
			return err
		}
		rec.Revision = ""
	}
	rec.Token.Access = telemed.NewSecret(fmt.Sprint("neighbour's ", n.writes))
	revision, err := st.Put(ctx, *rec)
	if err != nil {
		return fmt.Errorf("a neighbour, %v: Put: %w", rec.ID, err)
	}
	c.fresh(revision)
	rec.Revision = revision
	got, err := st.Get(ctx, rec.ID)
	if err != nil {
		return fmt.Errorf("a neighbour, %v: Get: %w", rec.ID, err)
	}
	if wrong := differences(got, *rec); len(wrong) > 0 {
		return fmt.Errorf("a neighbour, %v: not what was put: %s", rec.ID, strings.Join(wrong, ", "))
	}
	return nil
}

func deleteNeighbour(ctx context.Context, st store.TokenStore, id store.AccountID) error {
	if err := st.Delete(ctx, id); err != nil {
		return fmt.Errorf("a neighbour, %v: Delete: %w", id, err)
	}
	switch _, err := st.Get(ctx, id); {
	case err == nil:
		return fmt.Errorf("a neighbour, %v: was deleted and is there", id)
	case !errors.Is(err, telemed.ErrNotFound):
		return fmt.Errorf("a neighbour, %v: Get of what was deleted: %w", id, err)
	}
	return nil
}

// wantNeighbours ends a clause: what it did has left its neighbours alone.
func (c *tokensTest) wantNeighbours() {
	c.Helper()
	c.rest()
	for _, want := range c.neighbours.records {
		st := c.harness.next()
		got, err := st.Get(c.Context(), want.ID)
		if err != nil {
			c.Fatalf("a neighbour, %v: Get: %v", want.ID, err)
		}
		wantEqual(c.T, got, want)
	}
}

// amid has workers work at once, each with a handle, while neighbours are written to.
// What they return is the test's failure.
func (c *tokensTest) amid(n int, work func(worker int, st store.TokenStore) error) {
	c.Helper()
	c.settleIn()
	c.rest()
	ctx, ended, onWay := c.Context(), make(chan struct{}), make(chan error, 1)
	c.neighbours.onWay = onWay
	go func() {
		var err error
		for err == nil {
			select {
			case <-ended:
				onWay <- nil
				return
			default:
				err = c.writeNeighbour(ctx, c.handle(c.neighbours.writes))
			}
		}
		onWay <- err
	}()
	defer c.rest()
	defer close(ended)
	together(c.T, n, func(worker int) error { return work(worker, c.handle(worker)) })
}
