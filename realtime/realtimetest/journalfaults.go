package realtimetest

import (
	"errors"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

func gapAfterTrim(c *journalTest) {
	if c.Trim == nil {
		c.Skip("the engine does not implement Trim")
	}
	j := c.Open()
	start := c.head(j)
	kept := c.appendAll(j, numbered("a", 10))
	f := c.follow(j, kept[9].Position)
	c.Trim()
	for _, p := range []realtime.Position{start, kept[0].Position, kept[5].Position} {
		c.wantGap(j, p)
		c.wantGap(c.Open(), p)
	}
	f.end() // whatever it has seen of Trim's own entries
	head := c.head(j)
	live := c.follow(j, head)
	want := c.appendAll(j, numbered("after", 3))
	live.want(want)
	live.end()
	if got := c.sinceAll(j, head, nil, 2); !sameEntries(got, want) {
		c.Errorf("Since after a trim: %s", difference(got, want))
	}
	oldest := c.at(j, time.Now().Add(-time.Hour))
	if got := c.sinceAll(j, oldest, nil, 1000); len(got) < len(want) {
		c.Errorf("At of before the trim leaves out what is still there")
	}
}

func gapAfterLoss(c *journalTest) {
	if c.Lose == nil {
		c.Skip("the engine does not implement Lose")
	}
	j := c.Open()
	start := c.head(j)
	kept := c.appendAll(j, numbered("a", 10))
	quiet, late := c.follow(j, kept[9].Position), c.Open()
	quietFromStart := c.follow(c.Open(), start)
	quietFromStart.want(kept)
	c.Lose()
	for _, p := range []realtime.Position{start, kept[4].Position, kept[9].Position} {
		c.wantGap(j, p)
	}
	time.Sleep(2 * time.Millisecond)
	c.head(late)
	want := c.appendAll(late, numbered("after", 10)) // as many, and the clock has gone on
	for _, p := range []realtime.Position{start, kept[4].Position, kept[9].Position} {
		c.wantGap(j, p)
		c.wantGap(c.Open(), p)
	}
	quiet.wantGap()
	quietFromStart.wantGap()
	f := c.follow(late, want[4].Position)
	f.want(want[5:])
	f.end()
}

// engineAway stops the engine while two follow.
func engineAway(c *journalTest) {
	if c.Stop == nil || c.Start == nil {
		c.Skip("the engine does not implement Stop and Start")
	}
	j, other := c.Open(), c.Open()
	start := c.head(j)
	followers := []*following{c.follow(j, start), c.follow(other, start)}
	want := c.appendAll(j, numbered("before", 3))
	for _, f := range followers {
		f.want(want)
	}
	c.Stop()
	maybe := map[string]bool{}
	for _, entry := range numbered("while", 3) {
		switch _, err := j.Append(c.Context(), entry); {
		case errors.Is(err, telemed.ErrAmbiguous):
			maybe[entry.Name] = true
		case !errors.Is(err, telemed.ErrUnavailable):
			c.Errorf("Append without an engine: %v, want ErrUnavailable or ErrAmbiguous", err)
		}
	}
	if _, err := j.Head(c.Context()); !errors.Is(err, telemed.ErrUnavailable) {
		c.Errorf("Head without an engine: %v, want ErrUnavailable", err)
	}
	if _, err := j.Since(c.Context(), start, nil, 1); !errors.Is(err, telemed.ErrUnavailable) {
		c.Errorf("Since without an engine: %v, want ErrUnavailable", err)
	}
	c.awaitStale(j, true)
	c.Start()
	c.awaitEngine(j)
	c.appendAll(other, numbered("after", 3))
	told := c.sinceAll(j, start, nil, 100)
	for _, entry := range told {
		if len(entry.Name) > 5 && entry.Name[:5] == "while" && !maybe[entry.Name] {
			c.Errorf("an entry is there of which Append said that it is not")
		}
	}
	for _, f := range followers {
		f.want(told)
	}
	c.awaitStale(j, false)
	for _, f := range followers {
		f.end()
	}
}

// awaitStale waits until a realtime.Staler that is followed says whether its engine is away.
func (c *journalTest) awaitStale(j realtime.Journal, away bool) {
	c.Helper()
	journal, ok := j.(realtime.Staler)
	for end := time.Now().Add(patience); ok && (journal.Stale() > 0) != away; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			c.Errorf("Stale is %v, and the engine is away: %t", journal.Stale(), away)
			return
		}
	}
}

// awaitEngine appends until the engine takes it.
func (c *journalTest) awaitEngine(j realtime.Journal) {
	c.Helper()
	deadline := time.Now().Add(patience)
	for {
		_, err := j.Head(c.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("Head after the engine has come back: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
