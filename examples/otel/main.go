// Command otel lets one visit take place, and prints what OpenTelemetry sees of it, each a
// line of JSON: a span for each effect and for each request to a provider, how often
// effects were done, failed or are stuck, and how long they took. All providers are in
// this process. It takes half a minute, since messages keep a distance.
//
//	cd examples/otel && go run .
//
// telemetry.go is the part to copy: observe for the Observe hooks, client for the
// HTTPClient of the leaves, and leaves with a span around a call.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
	"os/signal"
	_ "time/tzdata" // so that zones are known everywhere

	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		log.Fatal("otel: ", err)
	}
}

// run prints to out. An application has exporters of OTLP in place of these.
func run(ctx context.Context, out io.Writer) error {
	spans, err := stdouttrace.New(stdouttrace.WithWriter(out))
	if err != nil {
		return err
	}
	numbers, err := stdoutmetric.New(stdoutmetric.WithWriter(out))
	if err != nil {
		return err
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(numbers)))
	t, err := newTelemetry(traces, metrics)
	if err == nil {
		err = visitWith(ctx, t)
	}
	last := context.WithoutCancel(ctx) // what is measured so far is still printed
	return errors.Join(err, traces.Shutdown(last), metrics.Shutdown(last))
}

func visitWith(ctx context.Context, t *telemetry) error {
	c, err := start(t)
	defer c.close()
	if err != nil {
		return err
	}
	return c.live(ctx)
}
