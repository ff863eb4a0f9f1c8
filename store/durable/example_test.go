package durable_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/telemed-go/telemed/store/durable"
)

// order is what the rows of this example keep: what is wanted, and what is known.
type order struct {
	Cancelled bool
	Booked    string // the appointment's number
}

func orderOf(item durable.Item) (o order, err error) {
	if len(item.Data) > 0 {
		err = json.Unmarshal(item.Data, &o)
	}
	return o, err
}

// update returns what writes a change of the order into its row.
func update(change func(o *order)) durable.Fact {
	return func(item *durable.Item) error {
		o, err := orderOf(*item)
		if err != nil {
			return err
		}
		change(&o)
		item.Data, err = json.Marshal(o)
		return err
	}
}

// An order that was paid for is booked, whichever process lives to do it. Here one process
// works over memory, until it has done what there is.
func ExampleRunner() {
	book := func(_ context.Context, name string) (string, error) { return "appointment of " + name, nil }
	kind := durable.Kind{Version: 1, Plan: func(item durable.Item, _ time.Time) (durable.Effect, error) {
		o, err := orderOf(item)
		if err != nil || o.Cancelled || o.Booked != "" {
			return durable.Effect{}, err // nothing is to be done
		}
		return durable.Effect{Name: "book", Do: func(ctx context.Context) (durable.Fact, error) {
			number, err := book(ctx, item.ID.Name)
			if err != nil {
				return nil, err // again, later
			}
			return update(func(o *order) { o.Booked = number }), nil
		}}, nil
	}}

	ctx, cancel := context.WithCancel(context.Background())
	rows := durable.NewMemory()
	runner, err := durable.NewRunner(durable.RunnerConfig{
		Store: rows, Kinds: map[string]durable.Kind{"order": kind},
		Observe: func(e durable.Event) { fmt.Println(e.ID, e.Effect, e.Err); cancel() },
	})
	if err != nil {
		log.Fatal(err)
	}
	id := durable.ID{Kind: "order", Name: "order_42"}
	if _, err := rows.Put(ctx, durable.Item{ID: id, Version: 1, Due: time.Now()}); err != nil {
		log.Fatal(err)
	}
	if err := runner.Run(ctx); err != nil {
		log.Fatal(err)
	}
	item, err := rows.Get(context.Background(), id)
	fmt.Println(string(item.Data), item.Due.IsZero(), err)
	// Output:
	// order/order_42 book <nil>
	// {"Cancelled":false,"Booked":"appointment of order_42"} true <nil>
}

// A handler says what is wanted from now on, whoever has the row in hand at that moment.
// That it is due has a Runner look.
func ExampleChange() {
	ctx := context.Background()
	rows := durable.NewMemory()
	id := durable.ID{Kind: "order", Name: "order_42"}
	cancelled := func(item *durable.Item) error {
		item.Version, item.Due = 1, time.Now()
		return update(func(o *order) { o.Cancelled = true })(item)
	}
	for range 2 { // a page that is sent twice
		item, err := durable.Change(ctx, rows, id, cancelled)
		fmt.Println(string(item.Data), err)
	}
	// Output:
	// {"Cancelled":true,"Booked":""} <nil>
	// {"Cancelled":true,"Booked":""} <nil>
}

// letterState is what is known of a message.
type letterState struct{ State string }

func stateFact(state string) durable.Fact {
	return func(item *durable.Item) error {
		var err error
		item.Data, err = json.Marshal(letterState{state})
		return err
	}
}

// A message cannot be sent twice with one key, so the row says before that it is about to
// be sent. A process died after that: the provider's list of what arrived is the evidence.
func ExampleKind() {
	arrived := map[string]bool{} // the provider's
	send := func(reference string) { arrived[reference] = true }

	plan := func(item durable.Item, now time.Time) (durable.Effect, error) {
		var known letterState
		if err := json.Unmarshal(item.Data, &known); err != nil {
			return durable.Effect{}, err
		}
		reference := item.ID.Name
		switch known.State {
		case "wanted":
			return durable.Effect{Name: "send", Ahead: stateFact("sending"), Do: func(context.Context) (durable.Fact, error) {
				send(reference)
				return stateFact("sent"), nil
			}}, nil
		case "sending": // whoever wrote this did not live to write more
			return durable.Effect{Name: "look for evidence", Do: func(context.Context) (durable.Fact, error) {
				if arrived[reference] {
					return stateFact("sent"), nil
				}
				return stateFact("wanted"), nil
			}}, nil
		}
		return durable.Effect{}, nil
	}

	ctx := context.Background()
	rows := durable.NewMemory()
	runner, err := durable.NewRunner(durable.RunnerConfig{
		Store: rows, Kinds: map[string]durable.Kind{"message": {Plan: plan}},
		Observe: func(e durable.Event) { fmt.Println(e.ID.Name+":", e.Effect) },
	})
	if err != nil {
		log.Fatal(err)
	}
	send("died after it") // and nobody wrote down that it was sent
	for _, name := range []string{"died after it", "died before it"} {
		id := durable.ID{Kind: "message", Name: name}
		if _, err := rows.Put(ctx, durable.Item{ID: id, Due: time.Now(), Data: []byte(`{"State":"sending"}`)}); err != nil {
			log.Fatal(err)
		}
		if _, err := runner.Step(ctx, id); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// died after it: look for evidence
	// died before it: look for evidence
	// died before it: send
}

// A reminder's row has a record in it, which others may write too.
func ExampleForm() {
	type reminder struct {
		To   string `json:"to"`
		Sent bool   `json:"sent"`
	}
	form := durable.Form[reminder]{Name: "reminders", Version: 1}
	ctx, rows := context.Background(), durable.NewMemory()
	id := durable.ID{Kind: "reminder", Name: "appt-42"}
	for _, change := range []func(r *reminder){
		func(r *reminder) { r.To = "asha" },
		func(r *reminder) { r.Sent = true },
	} {
		_, err := durable.Change(ctx, rows, id, func(item *durable.Item) error {
			return form.Edit(item, func(r *reminder, trail *durable.Trail) error {
				change(r)
				trail.Add("changed")
				return nil
			})
		})
		if err != nil {
			panic(err)
		}
	}
	item, _ := rows.Get(ctx, id)
	r, _ := form.Open(item)
	trail, _ := form.Trail(item)
	fmt.Println(r.To, r.Sent, len(trail))
	// Output: asha true 2
}

// A kind has two things to do, neither of which waits for the other one while that fails.
func ExampleRests() {
	type order struct {
		Told, Shown bool
		Rests       durable.Rests
	}
	form := durable.Form[order]{Name: "orders", Version: 1}
	tell := func(context.Context) (durable.Fact, error) {
		err := errors.New("the mail server is away")
		until := time.Now().Add(durable.RestAfter(1, err))
		return func(item *durable.Item) error {
			return form.Edit(item, func(o *order, _ *durable.Trail) error {
				o.Rests.Fail("tell", o.Rests["tell"].N+1, until)
				return nil
			})
		}, durable.AtRest(err)
	}
	show := func(context.Context) (durable.Fact, error) {
		fmt.Println("shown")
		return func(item *durable.Item) error {
			return form.Edit(item, func(o *order, _ *durable.Trail) error { o.Shown = true; return nil })
		}, nil
	}
	rows, ctx := durable.NewMemory(), context.Background()
	runner, err := durable.NewRunner(durable.RunnerConfig{Store: rows, Kinds: map[string]durable.Kind{"order": {
		Version: 1, Plan: func(item durable.Item, now time.Time) (durable.Effect, error) {
			o, err := form.Open(item)
			switch {
			case err != nil:
				return durable.Effect{}, err
			case !o.Told && o.Rests.Ready("tell", now):
				return durable.Effect{Name: "tell", Do: tell}, nil
			case !o.Shown:
				return durable.Effect{Name: "show", Do: show}, nil
			}
			return durable.Effect{At: o.Rests.Next(now)}, nil
		},
	}}})
	if err != nil {
		panic(err)
	}
	id := durable.ID{Kind: "order", Name: "42"}
	if _, err := rows.Put(ctx, durable.Item{ID: id, Due: time.Now()}); err != nil {
		panic(err)
	}
	for range 3 {
		if _, err := runner.Step(ctx, id); err != nil {
			panic(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	item, _ := rows.Get(ctx, id)
	o, _ := form.Open(item)
	fmt.Println(o.Told, o.Shown, o.Rests["tell"].N)
	// Output:
	// shown
	// false true 1
}
