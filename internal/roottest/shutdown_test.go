package roottest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/notify/smtp"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
	"github.com/telemed-go/telemed/zoom"
)

// part is a part of an application, made of what it does at the end.
type part func(ctx context.Context) error

func (p part) Shutdown(ctx context.Context) error { return p(ctx) }

func ExampleShutdown() {
	live := part(func(context.Context) error { fmt.Println("the dashboards are told"); return nil })
	server := &http.Server{ReadHeaderTimeout: time.Second}
	mail := part(func(context.Context) error { return errors.New("a mail was cut off") })
	err := telemed.Shutdown(10*time.Second, live, server, mail)
	fmt.Println(err)
	// Output:
	// the dashboards are told
	// shutdown of roottest.part: a mail was cut off
}

func TestShutdownAsksAllInOrder(t *testing.T) {
	t.Parallel()
	var asked []string
	says := func(name string, err error) part {
		return func(context.Context) error { asked = append(asked, name); return err }
	}
	first, third := errors.New("first failed"), errors.New("third failed")
	err := telemed.Shutdown(time.Minute, says("1", first), says("2", nil), says("3", third))
	require.Equal(t, []string{"1", "2", "3"}, asked)
	require.ErrorIs(t, err, first)
	require.ErrorIs(t, err, third)
	require.NoError(t, telemed.Shutdown(time.Minute, says("4", nil)))
	require.NoError(t, telemed.Shutdown(time.Minute))
}

// The limit is for all parts together, and who comes after it is asked all the same.
func TestShutdownHasOneLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		takes := func(need time.Duration) part {
			return func(ctx context.Context) error {
				select {
				case <-time.After(need):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		late := false
		began := time.Now()
		err := telemed.Shutdown(10*time.Second, takes(6*time.Second), takes(6*time.Second), part(func(ctx context.Context) error {
			late = ctx.Err() != nil
			return nil
		}))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(began))
		require.True(t, late, "the last one is asked, with a context that has ended")

		began = time.Now()
		require.ErrorIs(t, telemed.Shutdown(-1, takes(time.Hour)), context.DeadlineExceeded)
		require.Zero(t, time.Since(began))
	})
}

// An application that could not build a part ends with the others.
func TestShutdownPassesOverWhatWasNotBuilt(t *testing.T) {
	t.Parallel()
	var (
		server *http.Server
		google *googlemeet.Client
		zooms  *zoom.Client
		mail   *smtp.Client
		live   *socketio.Server
		hub    *realtime.Hub
		bills  *payments.Webhook
	)
	asked := false
	require.NoError(t, telemed.Shutdown(time.Minute, nil, server, google, zooms, mail, live, hub, bills,
		part(func(context.Context) error { asked = true; return nil })))
	require.True(t, asked)
}

// A server that holds a request when the limit comes is named, and listens no longer.
func TestShutdownOfAServer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	here, end := make(chan struct{}), make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(here)
		<-end
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if resp, err := http.Get("http://" + listener.Addr().String()); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-here
	err = telemed.Shutdown(0, server)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "shutdown of *http.Server")
	require.ErrorIs(t, <-served, http.ErrServerClosed)
	close(end)
	<-answered
	require.NoError(t, telemed.Shutdown(time.Minute, server))
}
