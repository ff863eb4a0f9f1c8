package redisstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

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

// markLoss appends a marker, which no reader crosses, if the entry at lost is not there
// and older ones are: then it was no trim. The marker is one for each loss, however many
// processes notice it, for each further one would be a gap to those who have gone on. What
// is behind the last entry before lost came after the loss.
var markLoss = redis.NewScript(`
local stream, lost, uid, maxlen = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local kept = redis.call('XREVRANGE', stream, lost, '-', 'COUNT', 1)[1]
if not kept or kept[1] == lost then return 0 end
local from = kept[1]
while true do
  local found = redis.call('XRANGE', stream, from, '+', 'COUNT', 16)
  for i = 2, #found do
    local fields, marker, namespace = found[i][2], false, false
    for n = 1, #fields, 2 do
      marker = marker or fields[n] == '` + markerGap + `'
      namespace = namespace or fields[n] == 'nsp'
    end
    if marker and not namespace then return 0 end
  end
  if #found < 16 then break end
  from = found[#found][1]
end
redis.call('XADD', stream, 'MAXLEN', '~', maxlen, '*', 'uid', uid, 'type', '` + markerType + `', '` + markerGap + `', '1')
return 1`)

// markGap runs markLoss with the newest entry that is known to have been there. That Redis
// refuses it changes nothing for who has noticed.
func (j *Client) markGap(ctx context.Context, client *redis.Client, lost string) error {
	err := markLoss.Eval(ctx, client, []string{j.cfg.Stream}, lost, j.uid, j.cfg.MaxLen).Err()
	if _, refused := errors.AsType[redis.Error](err); refused {
		j.log.LogAttrs(ctx, slog.LevelError, "redisstream: entries are lost, and Redis refuses a marker that tells the others",
			slog.String("error", failed("Follow", err).Error()))
		return nil
	}
	return err
}

func isGap(m redis.XMessage) bool {
	_, namespace := m.Values["nsp"]
	return !namespace && m.Values[markerGap] != nil
}
