package redisstream

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
)

// The clients in a room stand in a hash, one field for each process: the time in Unix
// milliseconds until which it holds, ":", and a list in JSON, which Config.Seal seals.

const (
	presencePurpose = "live presence"
	roomsAtOnce     = 500 // of one round trip
)

// present is one client in the list.
type present struct {
	ID      string `json:"id"`
	Subject string `json:"subject"`
}

// setPresent sets the field of a process, or deletes it if there is no list. It deletes what
// dead processes have left, too.
var setPresent = redis.NewScript(`
local key, process, list, holds = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fields = redis.call('HGETALL', key)
for i = 1, #fields, 2 do
  local ends = tonumber(string.match(fields[i + 1], '^%d+'))
  if not ends or ends <= now then redis.call('HDEL', key, fields[i]) end
end
if list == '' then return redis.call('HDEL', key, process) end
redis.call('HSET', key, process, string.format('%.0f:', now + holds) .. list)
return redis.call('PEXPIRE', key, holds)`)

// Announce implements realtime.Roster. The names of rooms stand in Redis as SHA-256 alone.
func (j *Client) Announce(ctx context.Context, process string, rooms map[string][]realtime.Client, holds time.Duration) error {
	type change struct{ key, list string }
	changes := make([]change, 0, len(rooms))
	for room, clients := range rooms {
		list, err := j.presentList(process, room, clients)
		if err != nil {
			return err
		}
		changes = append(changes, change{j.presentKey(room), list})
	}
	for len(changes) > 0 {
		some := changes[:min(len(changes), roomsAtOnce)]
		changes = changes[len(some):]
		_, err := ask(ctx, j, "Announce", func(ctx context.Context) (struct{}, error) {
			pipe := j.client.Pipeline()
			for _, c := range some {
				setPresent.Eval(ctx, pipe, []string{c.key}, process, c.list, holds.Milliseconds())
			}
			_, err := pipe.Exec(ctx)
			return struct{}{}, err
		})
		if err != nil {
			return failed("Announce", err)
		}
	}
	return nil
}

// Announced implements realtime.Roster.
func (j *Client) Announced(ctx context.Context, process, room string) ([]realtime.Client, error) {
	type answer struct {
		now    time.Time
		fields map[string]string
	}
	got, err := ask(ctx, j, "Announced", func(ctx context.Context) (answer, error) {
		pipe := j.client.Pipeline()
		now, fields := pipe.Time(ctx), pipe.HGetAll(ctx, j.presentKey(room))
		_, err := pipe.Exec(ctx)
		return answer{now.Val(), fields.Val()}, err
	})
	if err != nil {
		return nil, failed("Announced", err)
	}
	var clients []realtime.Client
	for other, field := range got.fields {
		digits, list, _ := strings.Cut(field, ":")
		end, err := strconv.ParseInt(digits, 10, 64)
		if other == process || err == nil && end <= got.now.UnixMilli() {
			continue
		}
		some, ok := j.readPresent(other, room, list)
		if err != nil || !ok {
			j.unread.Add(1)
			continue
		}
		clients = append(clients, some...)
	}
	return clients, nil
}

func (j *Client) presentKey(room string) string {
	sum := sha256.Sum256([]byte(j.cfg.Namespace + "\x00" + room))
	return j.cfg.Stream + ":present:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// presentID binds what is sealed to its place.
func (j *Client) presentID(process, room string) string {
	return process + " " + j.presentKey(room)
}

// presentList is the list of clients as it is kept, empty if there are none.
func (j *Client) presentList(process, room string, clients []realtime.Client) (string, error) {
	if len(clients) == 0 {
		return "", nil
	}
	list := make([]present, len(clients))
	for i, client := range clients {
		list[i] = present{client.ID, client.Subject}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", fault.Invalid("redisstream: Announce", "rooms", "cannot be encoded as JSON")
	}
	if j.cfg.Seal == nil {
		return string(text), nil
	}
	sealed, err := j.codec.sealer().Seal(presencePurpose, j.presentID(process, room), text)
	if err != nil {
		return "", fault.OfApplication("redisstream: Announce: Seal", err)
	}
	return sealedMark + base64.StdEncoding.EncodeToString(sealed), nil
}

// readPresent reports false for a list that this process cannot read.
func (j *Client) readPresent(process, room, text string) (clients []realtime.Client, ok bool) {
	if sealed, is := strings.CutPrefix(text, sealedMark); is != (j.cfg.Seal != nil) {
		return nil, false
	} else if is {
		stored, err := base64.StdEncoding.DecodeString(sealed)
		if err != nil {
			return nil, false
		}
		opened, err := j.codec.sealer().Open(presencePurpose, j.presentID(process, room), stored)
		if err != nil {
			return nil, false
		}
		text = string(opened)
	}
	var list []present
	if json.Unmarshal([]byte(text), &list) != nil {
		return nil, false
	}
	for _, client := range list {
		clients = append(clients, realtime.Client{ID: client.ID, Subject: client.Subject})
	}
	return clients, true
}
