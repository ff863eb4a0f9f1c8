package telemed

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Shutdown ends the parts of an application, one after the other in this order, and
// returns when the last one has answered. The time limit is for all of them together. A
// part is whatever has this method: the leaves, hubs, webhooks and runners of this module,
// and an *http.Server.
//
//	visits.Run(ctx) // returns after SIGTERM
//	err := telemed.Shutdown(10*time.Second, live, server, google, zoom, mail)
//
// Put first what others wait for: a socketio.Server before the http.Server that serves it.
// Put the database behind it all.
//
// Every part is asked, also after an error of another and after the limit: then its context
// has ended, and it cuts off what it can. The error names each part that failed, by its
// type. A part that is nil, or a nil pointer, was never built, and is passed over. If limit
// is 0 or negative, nobody waits.
//
// The context of the parts is a new one: that of the application has ended by then.
func Shutdown(limit time.Duration, parts ...interface {
	Shutdown(ctx context.Context) error
}) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var failed []error
	for _, part := range parts {
		if v := reflect.ValueOf(part); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
			continue
		}
		if err := part.Shutdown(ctx); err != nil {
			failed = append(failed, fmt.Errorf("shutdown of %T: %w", part, err))
		}
	}
	return errors.Join(failed...)
}
