package redisstream_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/redisstream"
)

// fields are those of all rooms: key, process and value.
func (s *server) fields() (all [][3]string) {
	s.Helper()
	keys, err := s.client.Keys(context.Background(), "socket.io:present:*").Result()
	require.NoError(s, err)
	for _, key := range keys {
		values, err := s.client.HGetAll(context.Background(), key).Result()
		require.NoError(s, err)
		for process, value := range values {
			all = append(all, [3]string{key, process, value})
		}
	}
	return all
}

// outlive makes all that is announced as old as it gets.
func (s *server) outlive() {
	s.Helper()
	for _, field := range s.fields() {
		_, list, _ := strings.Cut(field[2], ":")
		require.NoError(s, s.client.HSet(context.Background(), field[0], field[1], "1764000000000:"+list).Err())
	}
}

// Pages of another process are there, and when that was killed they are not, once what it
// has said is half a minute old.
func TestPresenceOfAKilledProcess(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	other := &process{t: t, socket: s.socket}
	other.start()
	t.Cleanup(other.kill)
	hub, journal, err := hubOf(s.client)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, hub.Shutdown(context.Background()))
		require.NoError(t, journal.Shutdown(context.Background()))
	})
	guest(t, hub)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	page, err := realtimetest.Dial(ctx, other.address(), realtimetest.Options{})
	require.NoError(t, err)
	_, err = page.EmitAck(ctx, "join-clinic", 7)
	require.NoError(t, err)
	there := func() int {
		clients, err := hub.Presence(ctx, "clinic-7")
		require.NoError(t, err)
		return len(clients)
	}
	require.Eventually(t, func() bool { return there() == 2 }, 30*time.Second, 20*time.Millisecond)
	other.kill()
	require.Equal(t, 2, there(), "nobody knows yet")
	now, err := s.client.Time(ctx).Result()
	require.NoError(t, err)
	for _, field := range s.fields() {
		digits, _, _ := strings.Cut(field[2], ":")
		ends, err := strconv.ParseInt(digits, 10, 64)
		require.NoError(t, err)
		require.LessOrEqual(t, ends, now.Add(30*time.Second).UnixMilli())
		require.Positive(t, s.client.PTTL(ctx, field[0]).Val(), "Redis forgets what nobody renews")
	}
	s.outlive()
	require.Equal(t, 1, there())
}

// What is announced comes back, in clear and sealed, and holds for its time. Rooms and
// subjects stand nowhere in clear where there is a Seal.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	seal := keyring(t)
	for name, change := range map[string]func(*redisstream.Config){
		"clear": nil, "sealed": func(cfg *redisstream.Config) { cfg.Seal, cfg.InsecureClear = seal, false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			j := s.open(change)
			ada, bob := realtime.Client{ID: "1", Subject: "ada"}, realtime.Client{ID: "2", Subject: "bob"}
			say := func(process string, holds time.Duration, clients ...realtime.Client) {
				require.NoError(t, j.Announce(t.Context(), process, map[string][]realtime.Client{"clinic-7": clients, "clinic-8": nil}, holds))
			}
			there := func(process, room string) []realtime.Client {
				clients, err := j.Announced(t.Context(), process, room)
				require.NoError(t, err)
				slices.SortFunc(clients, func(a, b realtime.Client) int { return strings.Compare(a.ID, b.ID) })
				return clients
			}
			say("p", time.Hour, ada)
			say("q", time.Hour, ada, bob)
			require.Equal(t, []realtime.Client{ada, ada, bob}, there("r", "clinic-7"))
			require.Equal(t, []realtime.Client{ada}, there("q", "clinic-7"), "not what it has said itself")
			require.Empty(t, there("r", "clinic-8"))
			for _, field := range s.fields() {
				require.NotContains(t, field[0], "clinic")
				require.Equal(t, change == nil, strings.Contains(field[2], "ada"), "%v", field)
			}
			say("q", time.Hour)
			require.Equal(t, []realtime.Client{ada}, there("r", "clinic-7"))

			s.outlive()
			require.Empty(t, there("r", "clinic-7"))
			say("q", time.Hour, bob)
			require.Len(t, s.fields(), 1, "what a dead process left is gone")

			for _, field := range s.fields() { // what somebody else has written
				require.NoError(t, s.client.HSet(t.Context(), field[0], "x", "9999999999999:~bm8=", "y", "9999999999999:no", "z", "no").Err())
			}
			require.Equal(t, []realtime.Client{bob}, there("r", "clinic-7"))
			require.EqualValues(t, 3, j.Stats().Unread)
			s.kill()
			_, err := j.Announced(t.Context(), "r", "clinic-7")
			require.ErrorIs(t, err, telemed.ErrUnavailable)
			err = j.Announce(t.Context(), "r", map[string][]realtime.Client{"clinic-7": {ada}}, time.Hour)
			require.ErrorIs(t, err, telemed.ErrUnavailable)
		})
	}
}
