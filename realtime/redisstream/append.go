package redisstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// Append adds e to the stream, by one XADD that is sent once. See realtime.Journal for
// errors; an entry above Config.MaxEntry is telemed.ErrInvalid too. Without an answer it
// returns telemed.ErrAmbiguous, at the end of ctx or after the ReadTimeout
// of Config.Client.
func (j *Client) Append(ctx context.Context, e realtime.Entry) (realtime.Position, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("redisstream: Append: %w", err)
	}
	if err := e.Check(); err != nil {
		return "", err
	}
	kind, data, err := j.codec.encode(e)
	if err != nil {
		return "", err
	}
	position, err := ask(ctx, j, "Append", func(ctx context.Context) (string, error) {
		return j.add(ctx, "nsp", j.cfg.Namespace, "type", kind, "data", data)
	})
	switch {
	case errors.Is(err, telemed.ErrClosed):
		return "", err
	case err != nil:
		return "", failedAppend(err)
	}
	j.appended.Add(1)
	return realtime.Position(position), nil
}

// add is XADD with the trim that the reference does.
func (j *Client) add(ctx context.Context, fields ...string) (string, error) {
	position, err := j.client.XAdd(ctx, &redis.XAddArgs{
		Stream: j.cfg.Stream, MaxLen: j.cfg.MaxLen, Approx: true, ID: "*", Values: append([]string{"uid", j.uid}, fields...),
	}).Result()
	if err == nil {
		j.saw(position)
	}
	return position, err
}

// Markers are entries without a namespace, which Node and every other reader pass over.
const (
	markerType = "0"   // no type of the reference
	markerGap  = "gap" // entries are missing before it
)

func (j *Client) mark(ctx context.Context) (string, error) {
	return j.add(ctx, "type", markerType)
}

func (j *Client) markGap(ctx context.Context) error {
	_, err := j.add(ctx, "type", markerType, markerGap, "1")
	return err
}

func isGap(m redis.XMessage) bool {
	_, namespace := m.Values["nsp"]
	return !namespace && m.Values[markerGap] != nil
}
