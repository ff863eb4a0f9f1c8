package notifytest

import (
	"context"
	"errors"
	"time"

	"github.com/telemed-go/telemed/notify"
)

// errNobody is that there is nobody to tell.
var errNobody = errors.New("notifytest: Recorder.Reports is nil")

// Report tells Reports what became of the message with a Key, as a provider does when it
// was accepted long ago. For notify.ReportFailed, cause is why; nil else. The error is that
// of Reports, or that no message with that Key was kept. For somebody who wants no more
// messages there is Stop.
func (r *Recorder) Report(ctx context.Context, key string, state notify.ReportState, cause error) error {
	if r.Reports == nil {
		return errNobody
	}
	if !r.has(notify.Reference(key)) {
		return errors.New("notifytest: no message with this Key was kept")
	}
	return r.Reports(ctx, notify.Report{Channel: r.channel(), Reference: notify.Reference(key), State: state, At: time.Now(), Err: cause})
}

// Stop tells Reports that the person with an address or number wants no more messages. It
// returns the error of Reports.
func (r *Recorder) Stop(ctx context.Context, address string) error {
	if r.Reports == nil {
		return errNobody
	}
	return r.Reports(ctx, notify.Report{Channel: r.channel(), State: notify.ReportStopped, At: time.Now(), Address: address})
}

// Outcome implements notify.Evidence: a message has arrived if it was kept. That is known
// at once, and for good.
func (r *Recorder) Outcome(ctx context.Context, reference string, _ time.Time) (notify.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return notify.OutcomeUnknown, err
	}
	if r.has(reference) {
		return notify.OutcomeArrived, nil
	}
	return notify.OutcomeNotArrived, nil
}

func (r *Recorder) has(reference string) bool {
	for _, m := range r.Messages() {
		if notify.Reference(m.Key) == reference {
			return true
		}
	}
	return false
}
