package outbox

import (
	"context"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// ask asks what became of a send whose outcome is unknown. One that did not arrive has failed,
// and is counted: it may end the process that sends it, each time.
func (o *Outbox) ask(ctx context.Context, item durable.Item, w way, key string) (durable.Fact, error) {
	outcome, err := o.cfg.Evidence[w.Channel].Outcome(ctx, notify.Reference(messageKey(item.ID.Name, key)), w.Begun)
	asked := time.Now()
	if err != nil {
		n := w.Ask.N + 1
		until := asked.Add(min(durable.RestAfter(n, err), o.cfg.EvidenceWait))
		return o.fact(key, func(_ *record, m *message) {
			m.on(w.Channel, func(w *way) { w.Ask = durable.Rest{N: n, At: utc(until)} })
		}), told(fault.OfApplication("Evidence", err))
	}
	n := w.Rest.N + 1
	rest := durable.Rest{N: n}
	if n > 1 { // the first is sent again at once
		rest.At = utc(asked.Add(durable.RestAfter(n, nil)))
	}
	return o.fact(key, func(r *record, m *message) {
		switch outcome {
		case notify.OutcomeArrived:
			m.accept(r, w.Channel, "", asked)
		case notify.OutcomeNotArrived:
			m.free(w.Channel, w.N, func(w *way) {
				r.note(key, "did not arrive by "+string(w.Channel))
				m.rest(r, w, rest)
			})
		default:
			m.on(w.Channel, func(w *way) { w.Ask = durable.Rest{N: w.Ask.N, At: utc(asked.Add(o.cfg.EvidenceWait))} })
		}
	}), nil
}
