package realtimetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

func ownEntries(c *journalTest) {
	j := c.Open()
	f := c.follow(j, c.head(j))
	want := c.appendAll(j, numbered("a", 5))
	f.want(want)
	other := c.Open()
	want = append(want, c.appendAll(other, numbered("b", 5))...)
	f.want(want)
	f.end()
}

// wholeEntries are one of each kind, with all fields.
func wholeEntries(c *journalTest) {
	j := c.Open()
	start := c.head(j)
	before := time.Now()
	kept := c.appendAll(j, []realtime.Entry{
		event("plain", `{"a":1}`, "clinic-7"),
		{Kind: realtime.KindEvent, Name: "everybody"},
		{
			Kind: realtime.KindEvent, Name: "आशा <&>", Rooms: []string{"b", "a", "clinic ü"}, Except: []string{"x", "y"},
			Args: raws(`"आशा \"<&>\""`, `null`, `[1,-2.5,true,{"deep":[{}]}]`, `12345678901234`), Volatile: true,
		},
		{
			Kind: realtime.KindEvent, Name: "binary", Rooms: []string{"clinic-7"},
			Args:        raws(`{"file":{"_placeholder":true,"num":0},"size":3}`, `"between"`, `{"_placeholder":true,"num":1}`),
			Attachments: [][]byte{{0, 1, 255}, []byte("second")},
		},
		{Kind: realtime.KindKick, Rooms: []string{"user-7"}, Except: []string{"desk"}},
		{Kind: realtime.KindJoin, Rooms: []string{"clinic-7"}, Moved: []string{"ward-1", "ward-2"}},
		{Kind: realtime.KindLeave, Rooms: []string{"clinic-7"}, Moved: []string{"ward-1"}},
	})
	f := c.follow(c.Open(), start)
	f.want(kept)
	f.end()
	if page := c.since(c.Open(), start, nil, 100); !sameEntries(page.Entries, kept) {
		c.Errorf("Since differs from what was appended: %s", difference(page.Entries, kept))
	}
	for _, entry := range f.all() {
		// An engine on another machine has another clock.
		if entry.At.Before(before.Add(-time.Minute)) || entry.At.After(time.Now().Add(time.Minute)) {
			c.Errorf("At of an entry is not when it was appended")
		}
	}
}

// oneOrder has four writers in two processes, and a follower in each.
func oneOrder(c *journalTest) {
	const writers, each = 4, 50
	journals := []realtime.Journal{c.Open(), c.Open()}
	start := c.head(journals[0])
	followers := []*following{c.follow(journals[0], start), c.follow(journals[1], start)}
	var wg sync.WaitGroup
	appended := make([][]realtime.Entry, writers)
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			for n, entry := range numbered(fmt.Sprint("writer ", w), each) {
				if n%10 == 9 {
					entry = realtime.Entry{Kind: realtime.KindKick, Rooms: []string{fmt.Sprint("user-", w, "-", n)}}
				}
				var err error
				if entry.Position, err = journals[w%2].Append(c.Context(), entry); err != nil {
					errs[w] = err
					return
				}
				appended[w] = append(appended[w], entry)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		c.Fatalf("Append: %v", err)
	}
	for _, f := range followers {
		f.wait(writers * each)
	}
	first, second := followers[0].all(), followers[1].all()
	if !sameEntries(first, second) {
		c.Errorf("two followers differ: %s", difference(first, second))
	}
	for _, wrote := range appended {
		mine := slices.DeleteFunc(slices.Clone(first), func(e realtime.Entry) bool {
			return !slices.ContainsFunc(wrote, func(w realtime.Entry) bool { return w.Position == e.Position })
		})
		if !sameEntries(mine, wrote) {
			c.Errorf("the order of one writer: %s", difference(mine, wrote))
		}
	}
	if page := c.sinceAll(journals[1], start, nil, 7); !sameEntries(page, first) {
		c.Errorf("Since and Follow differ: %s", difference(page, first))
	}
	for _, f := range followers {
		f.end()
	}
}

func oneAtATime(c *journalTest) {
	j := c.Open()
	start := c.head(j)
	c.appendAll(j, numbered("a", 20))
	var inside, most, seen atomic.Int32
	done := make(chan struct{})
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	go func() {
		defer close(done)
		_ = j.Follow(ctx, start, func(realtime.Entry) {
			most.Store(max(most.Load(), inside.Add(1)))
			time.Sleep(2 * time.Millisecond)
			inside.Add(-1)
			if seen.Add(1) == 20 {
				cancel()
			}
		})
	}()
	<-done
	if after := inside.Load(); after != 0 {
		c.Errorf("deliver runs after Follow has returned")
	}
	if most.Load() > 1 {
		c.Errorf("deliver was called %d times at once", most.Load())
	}
}

// followFromThePast joins what was there to what comes, at several places.
func followFromThePast(c *journalTest) {
	j := c.Open()
	start := c.head(j)
	want := c.appendAll(j, numbered("past", 30))
	followers := map[int]*following{0: c.follow(j, start)}
	for _, at := range []int{1, 15, 29, 30} {
		followers[at] = c.follow(c.Open(), want[at-1].Position)
	}
	want = append(want, c.appendAll(c.Open(), numbered("live", 30))...)
	for at, f := range followers {
		f.want(want[at:])
		f.end()
	}
}

func since(c *journalTest) {
	j := c.Open()
	start := c.head(j)
	if page := c.since(j, start, nil, 10); len(page.Entries) != 0 || page.More || page.UpTo == "" {
		c.Errorf("Since of the head: %d entries, More %t; want none, and UpTo", len(page.Entries), page.More)
	}
	want := c.appendAll(j, numbered("a", 10))
	for _, limit := range []int{1, 3, 9, 10, 11} {
		page := c.since(j, start, nil, limit)
		if n := min(limit, len(want)); !sameEntries(page.Entries, want[:n]) {
			c.Errorf("Since with limit %d: %s", limit, difference(page.Entries, want[:n]))
		}
		if limit < len(want) && !page.More {
			c.Errorf("Since with limit %d: a short page looks whole", limit)
		}
		if got := c.sinceAll(j, start, nil, limit); !sameEntries(got, want) {
			c.Errorf("Since, page after page by %d: %s", limit, difference(got, want))
		}
	}
	if got := c.sinceAll(c.Open(), want[3].Position, nil, 4); !sameEntries(got, want[4:]) {
		c.Errorf("Since from the middle, in another process: %s", difference(got, want[4:]))
	}
}

// sinceByRooms has one entry in ten for the room that is asked for.
func sinceByRooms(c *journalTest) {
	j := c.Open()
	start := c.head(j)
	var entries []realtime.Entry
	for n := range 60 {
		entries = append(entries, event(fmt.Sprint("n", n), "1", "other"))
		if n%10 == 0 {
			entries[n].Rooms = []string{"elsewhere", "mine"}
		}
	}
	entries[5] = realtime.Entry{Kind: realtime.KindEvent, Name: "for everybody"}
	entries[7] = realtime.Entry{Kind: realtime.KindKick, Rooms: []string{"user-7"}}
	entries[8].Rooms, entries[8].Except = []string{"mine"}, []string{"also-mine"}
	kept := c.appendAll(j, entries)
	want := []realtime.Entry{kept[0], kept[5], kept[7], kept[8], kept[10], kept[20], kept[30], kept[40], kept[50]}
	for _, limit := range []int{1, 2, 9, 100} {
		if got := c.sinceAll(j, start, []string{"mine", "also-mine"}, limit); !sameEntries(got, want) {
			c.Errorf("Since for two rooms, by %d: %s", limit, difference(got, want))
		}
	}
	if got := c.sinceAll(j, start, []string{}, 100); !sameEntries(got, []realtime.Entry{kept[5], kept[7]}) {
		c.Errorf("Since for no room: %s", difference(got, []realtime.Entry{kept[5], kept[7]}))
	}

	page := c.since(j, kept[50].Position, []string{"mine"}, 100)
	if len(page.Entries) != 0 || page.More {
		c.Errorf("Since where nothing matches: %d entries, More %t", len(page.Entries), page.More)
	}
	if rest := c.sinceAll(j, page.UpTo, nil, 100); len(rest) != 0 {
		c.Errorf("UpTo is not how far Since has looked: %d entries come after it, and More was false", len(rest))
	}
	page = c.since(j, start, []string{"mine"}, 2)
	if rest := c.sinceAll(j, page.UpTo, []string{"mine"}, 100); !sameEntries(rest, slices.Concat(kept[7:9], want[4:])) {
		c.Errorf("UpTo of a short page: %s", difference(rest, slices.Concat(kept[7:9], want[4:])))
	}
}

func byTime(c *journalTest) {
	j := c.Open()
	c.head(j)
	kept := c.appendAll(j, numbered("early", 3))
	time.Sleep(20 * time.Millisecond)
	kept = append(kept, c.appendAll(j, numbered("late", 3))...)
	told := c.sinceAll(j, c.at(j, time.Now().Add(-time.Hour)), nil, 100)
	if !sameEntries(told, kept) {
		c.Fatalf("At of an hour ago: %s", difference(told, kept))
	}
	for i, entry := range told {
		if i > 0 && entry.At.Before(told[i-1].At) {
			c.Errorf("At of an entry is before that of the one before it")
		}
		got := c.sinceAll(j, c.at(j, entry.At), nil, 100)
		if missing := len(told) - i - len(got); missing > 0 {
			c.Errorf("At: %d entries of that time or later are missing", missing)
		}
	}
	if got := c.sinceAll(j, c.at(j, told[3].At), nil, 100); len(got) != 3 {
		c.Errorf("At between two times: %d entries, want the 3 later ones", len(got))
	}
	if got := c.sinceAll(j, c.at(j, time.Now().Add(time.Hour)), nil, 100); len(got) != 0 {
		c.Errorf("At in the future: %d entries, want none", len(got))
	}
}

func positions(c *journalTest) {
	seen := map[realtime.Position]bool{}
	for range 3 {
		j := c.Open()
		for _, entry := range c.appendAll(j, numbered("a", 20)) {
			if seen[entry.Position] {
				c.Fatalf("a position was given to two entries")
			}
			seen[entry.Position] = true
		}
		c.checkPosition(c.head(j))
		c.checkPosition(c.at(j, time.Now().Add(-time.Hour)))
	}
}

// foreignPositions are those of another fleet, made before and after ours, and no
// positions at all.
func foreignPositions(c *journalTest) {
	before, j := c.another().Open(), c.Open()
	foreign := []realtime.Position{c.head(before)}
	mine := c.head(j)
	for n := range 3 {
		time.Sleep(2 * time.Millisecond) // positions may hold the time
		foreign = append(foreign, c.appendAll(before, numbered("there", 1))[0].Position)
		time.Sleep(2 * time.Millisecond)
		c.appendAll(j, numbered(fmt.Sprint("here", n), 1))
	}
	time.Sleep(2 * time.Millisecond)
	foreign = append(foreign, c.appendAll(before, numbered("there", 1))[0].Position)
	for _, text := range []string{"0", "1", "-", "0-0", "1-1", "99999999999999-0", "$", "+", "(1-0", "x", longer(mine, 'x'), longer(mine, '0')} {
		foreign = append(foreign, realtime.Position(text))
	}
	for _, p := range foreign {
		c.wantGap(j, p)
	}
}

// longer is p with one more character.
func longer(p realtime.Position, more byte) string { return string(p) + string(more) }

func wrongCalls(c *journalTest) {
	j := c.Open()
	start := c.head(j)
	kept := c.appendAll(j, numbered("a", 1))
	for what, entry := range map[string]realtime.Entry{
		"of no kind":               {Name: "a"},
		"of an unknown kind":       {Kind: "other", Rooms: []string{"a"}},
		"without a name":           {Kind: realtime.KindEvent},
		"with a reserved name":     {Kind: realtime.KindEvent, Name: "disconnect"},
		"with what is not JSON":    {Kind: realtime.KindEvent, Name: "a", Args: raws(`{"a":`)},
		"with an empty argument":   {Kind: realtime.KindEvent, Name: "a", Args: raws(``)},
		"for a room without name":  {Kind: realtime.KindEvent, Name: "a", Rooms: []string{""}},
		"that kicks everybody":     {Kind: realtime.KindKick},
		"that joins to nothing":    {Kind: realtime.KindJoin, Rooms: []string{"a"}},
		"with an event in a kick":  {Kind: realtime.KindKick, Rooms: []string{"a"}, Name: "a"},
		"that leaves by an event":  {Kind: realtime.KindEvent, Name: "a", Moved: []string{"a"}},
		"except a room of control": {Kind: realtime.KindEvent, Name: "a", Except: []string{"a\x00"}},
	} {
		if _, err := j.Append(c.Context(), entry); !errors.Is(err, telemed.ErrInvalid) {
			c.Errorf("Append of an entry %s: %v, want ErrInvalid", what, err)
		}
	}
	if got := c.sinceAll(j, start, nil, 10); !sameEntries(got, kept) {
		c.Errorf("an entry that is refused was appended: %s", difference(got, kept))
	}
	_, err := j.Since(c.Context(), "", nil, 10)
	c.wantInvalid("Since of the empty position", err)
	_, err = j.Since(c.Context(), start, nil, 0)
	c.wantInvalid("Since with limit 0", err)
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	c.wantInvalid("Follow from the empty position", j.Follow(ctx, "", func(realtime.Entry) {}))
}

func contexts(c *journalTest) {
	j := c.Open()
	start := c.head(j)
	over, cancel := context.WithCancel(c.Context())
	cancel()
	_, err := j.Append(over, numbered("over", 1)[0])
	c.wantOver("Append", err)
	_, err = j.Since(over, start, nil, 1)
	c.wantOver("Since", err)
	_, err = j.Head(over)
	c.wantOver("Head", err)
	_, err = j.At(over, time.Now())
	c.wantOver("At", err)
	if got := c.sinceAll(j, start, nil, 10); len(got) != 0 {
		c.Errorf("Append with a context that is over has appended")
	}

	quiet := c.follow(j, start)
	time.Sleep(50 * time.Millisecond) // until it waits
	quiet.end()

	c.appendAll(j, numbered("a", 50))
	busy := c.followSlowly(j, start, 100*time.Millisecond)
	busy.wait(1)
	busy.end()
	if n := len(busy.all()); n > 20 {
		c.Errorf("Follow goes on after its context: %d entries", n)
	}
}
