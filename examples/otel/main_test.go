package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/store/durable"
)

// seen is what arrives where telemetry goes.
type seen struct {
	spans   *tracetest.InMemoryExporter
	numbers *sdkmetric.ManualReader
}

func watch(t *testing.T) (*telemetry, seen) {
	t.Helper()
	s := seen{tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()}
	tele, err := newTelemetry(sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans)), sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.numbers)))
	require.NoError(t, err)
	return tele, s
}

// count is how often effects ended in a way.
func (s seen) count(t *testing.T, outcome string) (total int64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, s.numbers.Collect(t.Context(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "telemed.effects" {
				for _, point := range sum.DataPoints {
					if value, _ := point.Attributes.Value("telemed.outcome"); value.AsString() == outcome {
						total += point.Value
					}
				}
			}
		}
	}
	return total
}

// TestAVisit: Google fails once. The spans of visit, bill and messages are one trace, with
// the requests below the calls that made them, and nobody's name is in it.
func TestAVisit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tele, s := watch(t)
		c, err := start(tele)
		defer c.close()
		require.NoError(t, err)
		c.google.FailNext(googlemeettest.Fault{Op: googlemeettest.OpInsert, Times: 9, Status: 503})
		require.NoError(t, c.live(t.Context()))

		names := map[string]int{}
		byID := map[string]tracetest.SpanStub{}
		spans := s.traceOf(visitID)
		for _, span := range spans {
			names[span.Name]++
			byID[span.SpanContext.SpanID().String()] = span
		}
		for _, want := range []string{"google create", "razorpay create order", "mail notify", "whatsapp notify", "visit make the meeting", "visit-bill fulfill", "visit-messages send"} {
			require.NotZero(t, names[want], "%s is missing in %v", want, names)
		}
		below := 0
		for _, span := range spans {
			if parent, ok := byID[span.Parent.SpanID().String()]; ok && strings.HasPrefix(span.Name, "POST ") {
				require.Contains(t, []string{"google create", "razorpay create order", "whatsapp notify"}, parent.Name)
				below++
			}
		}
		require.GreaterOrEqual(t, below, 3)
		require.NotZero(t, s.count(t, "failed"), "the meeting")
		require.Greater(t, s.count(t, "done"), int64(5))
		s.requireNobody(t)
	})
}

func (s seen) traceOf(visit string) []tracetest.SpanStub {
	want := traceOf(context.Background(), visit)
	var found []tracetest.SpanStub
	for _, span := range s.spans.GetSpans() {
		if span.SpanContext.TraceID() == traceID(want) {
			found = append(found, span)
		}
	}
	return found
}

// requireNobody looks for people and secrets in all that was told.
func (s seen) requireNobody(t *testing.T) {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, s.numbers.Collect(t.Context(), &all))
	told := fmt.Sprintf("%+v %+v", s.spans.GetSpans(), all)
	for _, secret := range []string{"Asha", "Meera", "asha@", "rao@", "9876543210", "Bearer", "GOCSPX", "test-token"} {
		require.NotContains(t, told, secret)
	}
}

func TestWhatIsToldOfErrors(t *testing.T) {
	t.Parallel()
	tele, s := watch(t)
	id := durable.ID{Kind: "visit", Name: "appt-1"}
	tele.observe(durable.Event{ID: id, Effect: "meeting", Err: fmt.Errorf("Asha: %w", telemed.ErrReconnect), Took: time.Second})
	tele.observe(durable.Event{ID: id, Effect: "change", Err: errors.New("Asha's row is gone"), Stuck: true, Attempts: 12})
	tele.observe(durable.Event{ID: id, Effect: "broadcast"})
	spans := s.traceOf("appt-1")
	require.Len(t, spans, 3)
	require.Equal(t, []string{"visit meeting", "visit change", "visit broadcast"}, []string{spans[0].Name, spans[1].Name, spans[2].Name})
	require.Equal(t, []string{"reconnect", "other", ""}, []string{spans[0].Status.Description, spans[1].Status.Description, spans[2].Status.Description})
	require.Equal(t, time.Second, spans[0].EndTime.Sub(spans[0].StartTime))
	require.Contains(t, spans[1].Attributes, attribute.Int("telemed.attempts", 12))
	for outcome, want := range map[string]int64{"failed": 1, "stuck": 1, "done": 1} {
		require.Equal(t, want, s.count(t, outcome), outcome)
	}
	s.requireNobody(t)
}

// TestRun: each line is a span, or all numbers, in JSON.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), &out))
		for _, want := range []string{`"Name":"visit make the meeting"`, `"Name":"telemed.effects"`, `"Name":"http.client.request.duration"`} {
			require.True(t, strings.Contains(out.String(), want), want)
		}
		for line := range strings.Lines(out.String()) {
			require.True(t, json.Valid([]byte(line)), line)
		}
	})
}

func traceID(ctx context.Context) trace.TraceID { return trace.SpanContextFromContext(ctx).TraceID() }
