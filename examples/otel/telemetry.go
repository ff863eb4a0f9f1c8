package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/meet/googlemeet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/store/durable"
)

// scope is what spans and instruments are named after.
const scope = "github.com/telemed-go/telemed/examples/otel"

// telemetry makes spans and counts. It is safe for concurrent use. No person is in what
// it tells: row names are the application's own ids, and errors are told by their kind.
type telemetry struct {
	traces  trace.TracerProvider
	metrics metric.MeterProvider
	tracer  trace.Tracer
	effects metric.Int64Counter
	took    metric.Float64Histogram
}

func newTelemetry(traces trace.TracerProvider, metrics metric.MeterProvider) (*telemetry, error) {
	meter := metrics.Meter(scope)
	effects, err1 := meter.Int64Counter("telemed.effects", metric.WithDescription("Effects that were tried, by what came of them."))
	took, err2 := meter.Float64Histogram("telemed.effect.duration", metric.WithUnit("s"), metric.WithDescription("How long effects took."))
	return &telemetry{traces, metrics, traces.Tracer(scope), effects, took}, errors.Join(err1, err2)
}

// observe is for the Observe of visit, fulfill, outbox and durable.
func (t *telemetry) observe(e durable.Event) {
	end := time.Now()
	outcome := "done"
	switch {
	case e.Stuck:
		outcome = "stuck"
	case e.Err != nil:
		outcome = "failed"
	}
	what := []attribute.KeyValue{attribute.String("telemed.kind", e.ID.Kind), attribute.String("telemed.effect", e.Effect)}
	counted := metric.WithAttributes(append(what, attribute.String("telemed.outcome", outcome))...)
	ctx := traceOf(context.Background(), e.ID.Name)
	t.effects.Add(ctx, 1, counted)
	t.took.Record(ctx, e.Took.Seconds(), counted)
	_, span := t.tracer.Start(ctx, e.ID.Kind+" "+e.Effect, trace.WithTimestamp(end.Add(-e.Took)), trace.WithAttributes(what...),
		trace.WithAttributes(attribute.String("telemed.row", e.ID.Name), attribute.String("telemed.tenant", e.Tenant), attribute.Int("telemed.attempts", e.Attempts)))
	tell(span, e.Err)
	span.End(trace.WithTimestamp(end))
}

// traceOf puts what is done with ctx into the trace of a visit. Its id is a hash of the
// visit's: the visit, its bill and its messages are rows of that name, so that what many
// processes do over weeks is one trace. It has no first span.
func traceOf(ctx context.Context, visit string) context.Context {
	sum := sha256.Sum256([]byte(visit))
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24]), TraceFlags: trace.FlagsSampled, Remote: true,
	}))
}

// tell tells the kind of an error and not its text, which an application's own function
// may have written.
func tell(span trace.Span, err error) {
	if err != nil {
		span.SetAttributes(attribute.String("error.type", kind(err)))
		span.SetStatus(codes.Error, kind(err))
	}
}

// kinds are the errors that an application acts on.
var kinds = []struct {
	err  error
	name string
}{
	{telemed.ErrReconnect, "reconnect"}, {telemed.ErrAmbiguous, "ambiguous"}, {telemed.ErrRateLimited, "rate_limited"},
	{telemed.ErrUnauthorized, "unauthorized"}, {telemed.ErrForbidden, "forbidden"}, {telemed.ErrNotFound, "not_found"},
	{telemed.ErrConflict, "conflict"}, {telemed.ErrInvalid, "invalid"}, {telemed.ErrUnavailable, "unavailable"},
}

func kind(err error) string {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return "other"
}

// client is for the HTTPClient of a leaf. Providers get no trace headers, and a span is
// named by its host, since paths have ids in them.
func (t *telemetry) client(base http.RoundTripper) *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: otelhttp.NewTransport(base,
		otelhttp.WithTracerProvider(t.traces), otelhttp.WithMeterProvider(t.metrics),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + r.URL.Host }),
	)}
}

// span runs call in a span of the visit that a Key begins with. What call asks a provider
// over client is below it.
func span[T any](ctx context.Context, t *telemetry, name, key string, call func(context.Context) (T, error)) (T, error) {
	visit, _, _ := strings.Cut(key, "/")
	ctx, s := t.tracer.Start(traceOf(ctx, visit), name, trace.WithSpanKind(trace.SpanKindClient))
	defer s.End()
	answer, err := call(ctx)
	tell(s, err)
	return answer, err
}

// The leaves with spans. They embed the clients, so that all else that these can do can
// still be asked for by assertion.
type (
	tracedGoogle struct {
		*googlemeet.Client
		t *telemetry
	}
	tracedGateway struct {
		*razorpay.Client
		t *telemetry
	}
	tracedNotifier struct {
		notify.Notifier
		t    *telemetry
		name string
	}
)

// Create implements meet.MeetingProvider.
func (g tracedGoogle) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	return span(ctx, g.t, "google create", req.Key, func(ctx context.Context) (*meet.Meeting, error) {
		return g.Client.Create(ctx, doctorID, req)
	})
}

// CreateOrder implements payments.PaymentGateway.
func (g tracedGateway) CreateOrder(ctx context.Context, req payments.OrderRequest) (*payments.Order, error) {
	return span(ctx, g.t, "razorpay create order", req.Key, func(ctx context.Context) (*payments.Order, error) {
		return g.Client.CreateOrder(ctx, req)
	})
}

// Notify implements notify.Notifier.
func (n tracedNotifier) Notify(ctx context.Context, msg notify.Message) (*notify.Receipt, error) {
	return span(ctx, n.t, n.name+" notify", msg.Key, func(ctx context.Context) (*notify.Receipt, error) {
		return n.Notifier.Notify(ctx, msg)
	})
}
