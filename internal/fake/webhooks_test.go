package fake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// taker is an application that takes webhooks, or not.
type taker struct {
	answer func() (int, error)
	got    []string
}

func (r *taker) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.got = append(r.got, string(body)+" "+req.Header.Get("X-Signature"))
	status, err := r.answer()
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}, nil
}

func hooks(t *testing.T, app *taker, change func(*WebhookConfig)) *Webhooks {
	t.Helper()
	cfg := WebhookConfig{
		Kit: "kit", URL: "http://clinic.example/", Client: &http.Client{Transport: app}, Now: new(Clock).Now,
		Sign:  func(h http.Header, e Event) { h.Set("X-Signature", e.ID) },
		Taken: func(status int) bool { return status == http.StatusOK },
		Pause: time.Second, Patience: time.Hour,
	}
	if change != nil {
		change(&cfg)
	}
	h := StartWebhooks(cfg)
	t.Cleanup(h.Close)
	return h
}

func TestWebhooksComeUntilTheyAreTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := []any{503, errors.New("nobody is there"), 200}
		app := &taker{answer: func() (int, error) {
			next := answers[0]
			answers = answers[1:]
			if err, ok := next.(error); ok {
				return 0, err
			}
			return next.(int), nil
		}}
		h := hooks(t, app, nil)
		begin := time.Now()
		h.Emit(Event{ID: "1", Type: "paid", Body: []byte("a")})
		require.NoError(t, h.WaitIdle(t.Context()))
		require.Len(t, h.Deliveries(), 1)
		require.Equal(t, begin.Add(time.Second), h.NextDue())
		require.NoError(t, h.Wait(t.Context()))
		require.Equal(t, 3*time.Second, time.Since(begin), "pauses double")
		require.Equal(t, []string{"a 1", "a 1", "a 1"}, app.got)
		require.Equal(t, []int{503, 0, 200}, []int{h.Deliveries()[0].Status, h.Deliveries()[1].Status, h.Deliveries()[2].Status})
		require.Equal(t, []Event{{ID: "1", Type: "paid", Body: []byte("a")}}, h.Events())
		require.True(t, h.NextDue().IsZero())
	})
}

func TestWebhooksThatAreNeverTaken(t *testing.T) {
	t.Parallel()
	for name, disables := range map[string]bool{"lost": false, "the endpoint is disabled": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				app := &taker{answer: func() (int, error) { return 500, nil }}
				h := hooks(t, app, func(cfg *WebhookConfig) { cfg.Disables = disables })
				h.Emit(Event{Body: []byte("a")})
				require.NoError(t, h.Wait(t.Context()))
				require.Len(t, app.got, 12, "1 + 2 + … + 1024 seconds are less than an hour")
				require.Equal(t, disables, h.Disabled())
				app.answer = func() (int, error) { return 200, nil }
				h.Emit(Event{Body: []byte("b")})
				require.NoError(t, h.Wait(t.Context()))
				require.Equal(t, !disables, app.got[len(app.got)-1] == "b ")
				h.SetURL("http://clinic.example/")
				require.False(t, h.Disabled())
			})
		})
	}
}

func TestHeldWebhooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		app := &taker{answer: func() (int, error) { return 204, nil }}
		h := hooks(t, app, nil)
		h.Hold()
		h.Emit(Event{Body: []byte("a")})
		h.Emit(Event{Body: []byte("b")})
		time.Sleep(time.Hour)
		require.Empty(t, app.got)
		for _, e := range []Event{h.Events()[1], h.Events()[0], h.Events()[1]} {
			status, err := h.Deliver(t.Context(), e)
			require.NoError(t, err)
			require.Equal(t, 204, status, "one attempt, taken or not")
		}
		require.Equal(t, []string{"b ", "a ", "b "}, app.got)
	})
}

func TestWebhooksThatGoNowhere(t *testing.T) {
	t.Parallel()
	app := &taker{answer: func() (int, error) { return 200, nil }}
	h := hooks(t, app, func(cfg *WebhookConfig) { cfg.URL = "" })
	h.Emit(Event{Body: []byte("a")})
	require.NoError(t, h.Wait(t.Context()))
	_, err := h.Deliver(t.Context(), Event{})
	require.EqualError(t, err, "kit: no webhook URL is set")
	h.SetURL("http://clinic.example/%zz")
	_, err = h.Deliver(t.Context(), Event{})
	require.ErrorContains(t, err, "kit: webhook: ")
	h.Close()
	h.Close()
	_, err = h.Deliver(t.Context(), Event{})
	require.EqualError(t, err, "kit: the server is closed")
	require.Empty(t, app.got)
}

// waiting is an application that never answers.
type waiting struct{ asked chan struct{} }

func (w waiting) RoundTrip(req *http.Request) (*http.Response, error) {
	w.asked <- struct{}{}
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestCloseEndsDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		app := waiting{make(chan struct{}, 2)}
		h := hooks(t, nil, func(cfg *WebhookConfig) { cfg.Client.Transport = app })
		h.Emit(Event{Body: []byte("a")})
		ended := make(chan error, 1)
		go func() {
			_, err := h.Deliver(t.Context(), Event{Body: []byte("b")})
			ended <- err
		}()
		<-app.asked
		<-app.asked
		h.Close()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

// TestSendTellsWhatWasAnswered: and what was not taken comes again, unless webhooks are held.
func TestSendTellsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := []any{200, 503, errors.New("nobody is there"), 200, 503}
		app := &taker{answer: func() (int, error) {
			next := answers[0]
			answers = answers[1:]
			if err, ok := next.(error); ok {
				return 0, err
			}
			return next.(int), nil
		}}
		h := hooks(t, app, nil)
		for _, want := range []int{200, 503} {
			status, err := h.Send(t.Context(), Event{ID: "1", Body: []byte("a")})
			require.NoError(t, err)
			require.Equal(t, want, status)
		}
		begin := time.Now()
		require.NoError(t, h.Wait(t.Context()))
		require.Equal(t, 3*time.Second, time.Since(begin), "pauses double")
		require.Len(t, app.got, 4)
		h.Hold()
		status, err := h.Send(t.Context(), Event{ID: "2", Body: []byte("b")})
		require.NoError(t, err)
		require.Equal(t, 503, status)
		require.NoError(t, h.Wait(t.Context()))
		require.Len(t, app.got, 5)
	})
}

// TestReleasedWebhooks: what was held goes out in order, and comes again. What was brought
// by hand meanwhile goes out again only if it was not taken.
func TestReleasedWebhooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := []int{204, 503, 204, 503, 204}
		app := &taker{answer: func() (int, error) {
			next := answers[0]
			answers = answers[1:]
			return next, nil
		}}
		h := hooks(t, app, func(cfg *WebhookConfig) {
			cfg.Taken = func(status int) bool { return status == http.StatusNoContent }
		})
		h.Hold()
		for _, body := range []string{"a", "b", "c"} {
			h.Emit(Event{ID: body, Body: []byte(body)})
		}
		require.Equal(t, h.Events(), h.Held())
		for _, e := range []Event{h.Held()[1], h.Held()[2]} { // taken, and not
			_, err := h.Deliver(t.Context(), e)
			require.NoError(t, err)
		}
		h.Release()
		require.Empty(t, h.Held())
		require.NoError(t, h.Wait(t.Context()))
		require.Equal(t, []string{"b b", "c c", "a a", "c c", "c c"}, app.got)
		require.False(t, h.Deliveries()[0].At.IsZero())
		h.Release()
		require.NoError(t, h.Wait(t.Context()))
		require.Len(t, app.got, 5)
	})
}
