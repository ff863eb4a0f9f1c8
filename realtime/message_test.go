package realtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// strict is an encoder that writes all that a message has.
type strict struct{}

func (strict) Encode(m realtime.Message) []byte {
	return fmt.Appendf(nil, "%s %s %q", m.Name, m.Args, m.Attachments)
}

// Several arguments and bytes reach a client as they are, with a journal and without.
func TestArgumentsAndBinary(t *testing.T) {
	t.Parallel()
	for name, journal := range map[string]realtime.Journal{"without a journal": nil, "with a journal": &realtime.MemoryJournal{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := realtime.Config{Authorize: anybody, MaxEventSize: 120}
				if journal != nil {
					cfg.Journal = &realtime.MemoryJournal{}
				}
				hub := newHub(t, cfg)
				way := &wire{}
				connectTo(t, hub, strict{}, way)
				bytes := realtime.Binary{0, 255}
				event := realtime.Event{Name: "e", Data: bytes, More: []any{1, map[string]any{"in": bytes}, realtime.Binary(nil)}}
				require.NoError(t, hub.Broadcast(t.Context(), "x", event))
				bytes[0] = 7
				synctest.Wait()
				require.Equal(t, []string{
					`e [{"_placeholder":true,"num":0} 1 {"in":"AP8="} {"_placeholder":true,"num":1}] ["\x00\xff" ""]`,
				}, way.heard())
				event.More = append(event.More, realtime.Binary(make([]byte, 120)))
				require.ErrorIs(t, hub.Broadcast(t.Context(), "x", event), telemed.ErrInvalid)
			})
		})
	}
}

func TestEncodeEvent(t *testing.T) {
	t.Parallel()
	m, err := realtime.Event{Name: "e", Data: realtime.Binary("ab"), More: []any{nil}}.Encode()
	require.NoError(t, err)
	require.Equal(t, `["YWI=" null]`, fmt.Sprintf("%s", m.JSON()))
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", m, m, m, m), "ab")

	own := map[string]any{"_placeholder": true, "num": 0}
	_, err = realtime.Event{Name: "e", Data: own}.Encode()
	require.NoError(t, err, "without bytes it is data")
	_, err = realtime.Event{Name: "e", Data: []any{own}, More: []any{realtime.Binary("a")}}.Encode()
	require.ErrorIs(t, err, telemed.ErrInvalid, "it would stand for bytes that are not its own")
	_, err = realtime.Event{Name: "e", More: []any{1, func() {}}}.Encode()
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.Equal(t, []string{"More[1]"}, fields(err))
}

// Placeholders as others write them.
func TestMessageJSON(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		`{ "f" : {"num":1, "_placeholder" : true} , "n":[-0.10,"<ü>",null,true,{}]}`: `{"f":"Ag==","n":[-0.10,"<ü>",null,true,{}]}`,
		`[{"_placeholder":true,"num":0,"x":{}},{"\u005fplaceholder":true,"num":1}]`:  `["AQ==","Ag=="]`,
		`{"_placeholder":false,"num":0}`:                                             `{"_placeholder":false,"num":0}`,
		`[{"_placeholder":true,"num":2},1]`:                                          `[null,1]`,
		`[{"_placeholder":true,"num":-1}]`:                                           `[null]`,
		`[{"_placeholder":true,"num":"0"}, "end"]`:                                   `[null,"end"]`,
	} {
		m := realtime.Message{Args: []json.RawMessage{json.RawMessage(arg)}, Attachments: [][]byte{{1}, {2}}}
		require.JSONEq(t, want, string(m.JSON()[0]), arg)
	}
}

func TestEntryNamesItsAttachments(t *testing.T) {
	t.Parallel()
	entry := func(attachments int, args ...string) realtime.Entry {
		e := realtime.Entry{Kind: realtime.KindEvent, Name: "e", Attachments: make([][]byte, attachments)}
		for _, arg := range args {
			e.Args = append(e.Args, json.RawMessage(arg))
		}
		return e
	}
	require.NoError(t, entry(2, `[{"_placeholder":true,"num":0}]`, `{"_placeholder":true,"num":1}`).Check())
	require.NoError(t, entry(0, `{"_placeholder":true,"num":1}`).Check(), "without attachments it is data")
	for _, wrong := range []realtime.Entry{
		entry(1), entry(1, `{"_placeholder":true,"num":1}`), entry(1, `{"_placeholder":true,"num":0}`, `{"_placeholder":true,"num":0}`),
		entry(2, `{"_placeholder":true,"num":1}`, `{"_placeholder":true,"num":0}`), entry(1, `{"_placeholder":true}`),
		entry(2, `{"_placeholder":true,"num":0}`),
	} {
		require.Equal(t, []string{"Attachments"}, fields(wrong.Check()))
	}
}

// FuzzMessageJSON has arguments of anybody: what comes out is JSON, and the same where there
// is no placeholder.
func FuzzMessageJSON(f *testing.F) {
	f.Add(`{"a":[{"_placeholder":true,"num":0}],"b":"\ud800"}`)
	f.Add(`[[[1e9]],{"num":0}]`)
	f.Fuzz(func(t *testing.T, arg string) {
		if !json.Valid([]byte(arg)) {
			return
		}
		m := realtime.Message{Args: []json.RawMessage{json.RawMessage(arg)}, Attachments: [][]byte{{1}}}
		require.True(t, json.Valid(m.JSON()[0]), arg)
		e := realtime.Entry{Kind: realtime.KindEvent, Name: "e", Args: m.Args, Attachments: m.Attachments}
		if e.Check() == nil {
			require.Contains(t, string(m.JSON()[0]), `"AQ=="`)
		}
	})
}

// Rooms that are granted need no Authorize, are there again after a return, and do not come
// back once they were left.
func TestGrantedRooms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		asked := 0
		hub := processOf(t, journal, func(cfg *realtime.Config) {
			cfg.MaxRooms = 3
			cfg.Authorize = func(_ context.Context, _ realtime.Client, room string) error {
				if asked++; room == "b" {
					return telemed.ErrForbidden
				}
				return nil
			}
		})
		g := comeBack(t, hub, "ada", realtime.Return{}, "a", "b", "a")
		require.Zero(t, asked)
		require.NoError(t, g.conn.Join(t.Context(), "c"))
		g.granted = []string{"a", "b"}
		fresh := comeBack(t, hub, "eve", realtime.Return{}, "a", "b")

		again := fresh.again(t, hub) // no event came yet
		require.True(t, again.back)
		put(t, journal, to("1", "a"), to("2", "b"))
		require.Equal(t, []string{"1", "2"}, again.events())

		// One was left, one is granted no more: Authorize is asked anew.
		g.conn.Leave("a")
		synctest.Wait()
		back := g.again(t, hub)
		require.True(t, back.back)
		put(t, journal, to("3", "a"), to("4", "b"), to("5", "c"))
		require.Equal(t, []string{"4", "5"}, back.events())
		back.granted = nil
		less := back.again(t, hub)
		require.True(t, less.back)
		put(t, journal, to("6", "a"), to("7", "b"), to("8", "c"))
		require.Equal(t, []string{"8"}, less.events())

		// All were left: the rooms of the pid do not come back.
		again.conn.LeaveAll()
		gone := comeBack(t, hub, "eve", realtime.Return{}, "a", "b")
		gone.conn.Leave("a")
		gone.conn.Leave("b")
		synctest.Wait()
		none := gone.again(t, hub)
		require.True(t, none.back)
		put(t, journal, to("9", "a", "b"), to("10"))
		require.Equal(t, []string{"10"}, none.events())

		// A room that the pid does not know is a state that the page has not read.
		none.granted = []string{"a", "b", "new"}
		more := none.again(t, hub)
		require.False(t, more.back)
		put(t, journal, to("11", "new"))
		require.Equal(t, []string{"11"}, more.events())

		// Wrong rooms let nobody in.
		for _, test := range []struct {
			rooms []string
			want  error
		}{
			{[]string{""}, telemed.ErrInvalid}, {[]string{"user-bob"}, telemed.ErrInvalid}, {[]string{"1", "2", "3", "4"}, realtime.ErrFull},
		} {
			conn, err := hub.Connect(t.Context(), "ada", offsets{}, &wire{})
			require.NoError(t, err)
			recovered, err := conn.Enter(t.Context(), realtime.Return{}, test.rooms, func(string) []byte { panic("called") })
			require.ErrorIs(t, err, test.want)
			require.False(t, recovered)
			conn.Close(nil)
			_, err = conn.Enter(t.Context(), realtime.Return{}, nil, func(string) []byte { return nil })
			require.ErrorIs(t, err, telemed.ErrClosed)
		}
	})
}
