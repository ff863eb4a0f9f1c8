package realtimetest

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// Transport is how a Client talks to its server.
type Transport string

const (
	// WebSocket connects at once with a WebSocket.
	WebSocket Transport = "websocket"
	// Polling uses HTTP long-polling, and does not upgrade.
	Polling Transport = "polling"
)

// Options says how to connect. The zero value is a WebSocket with no extra headers.
type Options struct {
	// Header is sent with every request: a session's Cookie, an Origin. Dial copies it.
	Header http.Header
	// Transport is WebSocket if empty.
	Transport Transport
	// Recover is a client, closed or cut off, whose place the new one takes, as a browser's
	// does that was away: what it has missed comes first if the server knows it. See
	// [Client.Recovered].
	Recover *Client
	// Auth is what a page gives as io(url, {auth}): a value whose JSON is an object. If nil,
	// nothing is sent. A page's own pid and offset win over those of Recover.
	Auth any
	// TLS is for https URLs. If nil, the system's certificates are trusted.
	TLS *tls.Config
}

// Event is what a server sent.
type Event struct {
	Name string
	Data json.RawMessage // the first argument; nil if there is none
	// More are the arguments behind it, without the Offset. Bytes have become a string in base64,
	// in Data too.
	More []json.RawMessage
	// Offset is what a server with a Journal puts behind the arguments. A page that joins with
	// since keeps the last one of each room for that.
	Offset string

	ack string // the id of an acknowledgement that the server wants
}

// ConnectError is a server's refusal to let the client in, in the words that a page gets with
// its connect_error.
type ConnectError struct {
	Message string
	Data    json.RawMessage // nil if there is none
}

func (e *ConnectError) Error() string { return "refused with the message " + strconv.Quote(e.Message) }

// HandshakeError is a server's refusal of an HTTP request, be it the first or a later
// poll.
type HandshakeError struct {
	Status int    // HTTP
	Code   int    // Engine.IO's, 0 to 5; -1 if the answer has none
	Reason string // Engine.IO's message, if there is one
}

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("refused with %d (code %d): %s", e.Status, e.Code, e.Reason)
}

// Client is a Socket.IO client in the default namespace. It answers heartbeats
// by itself and does not reconnect. Its methods are safe for concurrent use.
type Client struct {
	wire   wire
	id     string
	pid    string // empty if the server recovers nobody
	back   bool   // the server has recovered it
	cancel context.CancelFunc
	ended  chan struct{} // closed when the reader has returned

	mu     sync.Mutex
	events []Event
	offset string        // of the last event
	more   chan struct{} // has room for one; full when events is not empty or the reader has returned
	acks   map[string]chan []json.RawMessage
	binary *binary // an event whose attachments have not all come
	lastID int
	err    error
}

// wire carries Engine.IO packets. read is called by one goroutine.
type wire interface {
	read(ctx context.Context) (packets []string, err error)
	write(ctx context.Context, packet string) error
	close()
}

// Dial connects to the server at rawURL, such as "http://127.0.0.1:3001". If
// the URL has no path it is /socket.io/. It returns when the server has
// accepted the client. ctx bounds the dialling only.
func Dial(ctx context.Context, rawURL string, options Options) (*Client, error) {
	endpoint, err := url.Parse(rawURL)
	if err != nil || endpoint.Host == "" {
		return nil, errors.New("realtimetest: Dial: the URL is not absolute")
	}
	if endpoint.Path == "" || endpoint.Path == "/" {
		endpoint.Path = "/socket.io/"
	}
	options.Header = options.Header.Clone()
	var w wire
	switch options.Transport {
	case "", WebSocket:
		w, err = dialWebSocket(ctx, endpoint, options)
	case Polling:
		w, err = dialPolling(ctx, endpoint, options)
	default:
		err = fmt.Errorf("unknown transport %q", options.Transport)
	}
	if err != nil {
		return nil, fmt.Errorf("realtimetest: Dial: %w", err)
	}
	client := &Client{wire: w, ended: make(chan struct{}), more: make(chan struct{}, 1), acks: make(map[string]chan []json.RawMessage)}
	if err := client.connect(ctx, options); err != nil {
		w.close()
		return nil, fmt.Errorf("realtimetest: Dial: %w", err)
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	client.cancel = cancel
	go client.run(life)
	return client, nil
}

// connect enters the default namespace, and answers heartbeats meanwhile.
func (c *Client) connect(ctx context.Context, options Options) error {
	old := options.Recover
	auth, err := c.auth(options)
	if err != nil {
		return err
	}
	if err := c.wire.write(ctx, "40"+auth); err != nil {
		return err
	}
	for c.id == "" {
		packets, err := c.wire.read(ctx)
		if err != nil {
			return err
		}
		for _, packet := range packets {
			if err := c.welcome(ctx, packet, old); err != nil {
				return err
			}
		}
	}
	return nil
}

// auth is what a page sends when it connects.
func (c *Client) auth(options Options) (string, error) {
	fields := make(map[string]any)
	if old := options.Recover; old != nil && old.pid != "" {
		old.mu.Lock()
		c.offset = old.offset
		old.mu.Unlock()
		fields["pid"], fields["offset"] = old.pid, c.offset
	}
	if options.Auth != nil {
		text, err := json.Marshal(options.Auth)
		if err != nil || json.Unmarshal(text, &fields) != nil {
			return "", errors.New("the Auth of Options is no JSON object")
		}
	} else if len(fields) == 0 {
		return "", nil
	}
	text, err := json.Marshal(fields)
	return string(text), err
}

func (c *Client) welcome(ctx context.Context, packet string, old *Client) error {
	if words, refused := strings.CutPrefix(packet, "44"); refused {
		var refusal ConnectError
		if json.Unmarshal([]byte(words), &refusal) != nil {
			return errors.New("unexpected form of the server's refusal")
		}
		return &refusal
	}
	body, ok := strings.CutPrefix(packet, "40")
	if !ok || c.id != "" {
		return c.handle(ctx, packet)
	}
	var welcome struct{ SID, PID string }
	if json.Unmarshal([]byte(body), &welcome) != nil || welcome.SID == "" {
		return errors.New("unexpected form of the server's welcome")
	}
	c.id, c.pid = welcome.SID, welcome.PID
	if c.back = old != nil && c.pid != "" && c.pid == old.pid; !c.back {
		c.offset = "" // of another life
	}
	return nil
}

// ID returns the connection's id, which is the server's realtime.Client.ID.
func (c *Client) ID() string { return c.id }

// Recovered reports whether the server has taken it for the client of Options.Recover. If
// not, the page would read the present state.
func (c *Client) Recovered() bool { return c.back }

// Emit sends an event. It returns when the packet is written, not when it is handled. A
// write that is cut off by ctx may leave half a frame behind and so ends the connection.
func (c *Client) Emit(ctx context.Context, name string, args ...any) error {
	return c.emit(ctx, "", name, args)
}

// EmitAck sends an event and returns the first argument of the server's acknowledgement, nil
// if that has none.
func (c *Client) EmitAck(ctx context.Context, name string, args ...any) (json.RawMessage, error) {
	answer, err := c.EmitWithAck(ctx, name, args...)
	if err != nil || len(answer) == 0 {
		return nil, err
	}
	return answer[0], nil
}

// EmitWithAck sends an event and returns all arguments of the server's acknowledgement.
func (c *Client) EmitWithAck(ctx context.Context, name string, args ...any) ([]json.RawMessage, error) {
	id, answer := c.expectAck()
	defer c.forgetAck(id)
	if err := c.emit(ctx, id, name, args); err != nil {
		return nil, err
	}
	select {
	case data := <-answer:
		return data, nil
	case <-c.ended:
		return nil, c.Err()
	case <-ctx.Done():
		return nil, fmt.Errorf("realtimetest: waiting for an acknowledgement: %w", ctx.Err())
	}
}

func (c *Client) emit(ctx context.Context, id, name string, args []any) error {
	if err := c.Err(); err != nil {
		return err
	}
	data, err := json.Marshal(append([]any{name}, args...))
	if err != nil {
		return fmt.Errorf("realtimetest: Emit: %w", err)
	}
	if err := c.wire.write(ctx, "42"+id+string(data)); err != nil {
		return fmt.Errorf("realtimetest: Emit: %w", err)
	}
	return nil
}

// Ack answers an event that the server wants an acknowledgement of, as a page's listener
// does by its callback. It is an error if the event asks for none.
func (c *Client) Ack(ctx context.Context, event Event, args ...any) error {
	if event.ack == "" {
		return errors.New("realtimetest: Ack: the event asks for no acknowledgement")
	}
	data, err := json.Marshal(append([]any{}, args...))
	if err != nil {
		return fmt.Errorf("realtimetest: Ack: %w", err)
	}
	if err := c.wire.write(ctx, "43"+event.ack+string(data)); err != nil {
		return fmt.Errorf("realtimetest: Ack: %w", err)
	}
	return nil
}

func (c *Client) expectAck() (id string, answer <-chan []json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id = strconv.Itoa(c.lastID)
	c.lastID++
	c.acks[id] = make(chan []json.RawMessage, 1)
	return id, c.acks[id]
}

func (c *Client) forgetAck(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.acks, id)
}

// Next returns the oldest event that it has not returned yet, and waits for one
// until ctx ends. Events that came before the connection ended are still returned.
func (c *Client) Next(ctx context.Context) (Event, error) {
	for {
		select {
		case <-c.more:
			if event, ok := c.take(); ok {
				return event, nil
			}
			return Event{}, c.Err()
		case <-ctx.Done():
			return Event{}, fmt.Errorf("realtimetest: Next: %w", ctx.Err())
		}
	}
}

// take holds the token of c.more, and puts it back if it is still true.
func (c *Client) take() (Event, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) == 0 {
		c.signal() // the connection has ended: for the next caller, too
		return Event{}, false
	}
	event := c.events[0]
	c.events = c.events[1:]
	if len(c.events) > 0 || c.err != nil {
		c.signal()
	}
	return event, true
}

func (c *Client) signal() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// Done is closed when the connection has ended, whoever ended it.
func (c *Client) Done() <-chan struct{} { return c.ended }

// Err returns nil while the connection is open, then why it ended. The error matches
// telemed.ErrClosed.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection as a browser does that leaves the page, and waits
// until nothing of the client is left.
func (c *Client) Close() error {
	c.cancel()
	c.wire.close()
	<-c.ended
	return nil
}

func (c *Client) run(ctx context.Context) {
	defer close(c.ended)
	defer c.cancel()
	defer c.wire.close()
	for {
		packets, err := c.wire.read(ctx)
		for _, packet := range packets {
			if err == nil {
				err = c.handle(ctx, packet)
			}
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

func (c *Client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = fmt.Errorf("realtimetest: connection ended: %w (%v)", telemed.ErrClosed, err)
	c.signal()
}

func (c *Client) handle(ctx context.Context, packet string) error {
	body, isMessage := strings.CutPrefix(packet, "4")
	switch {
	case packet == "2":
		return c.wire.write(ctx, "3")
	case packet == "1":
		return errors.New("the server sent a close packet")
	case packet == "41":
		return errors.New("the server disconnected the client from the namespace")
	case packet == "6":
		return nil
	case isMessage && (strings.HasPrefix(body, "2") || strings.HasPrefix(body, "3")):
		return c.packet(body, nil)
	case isMessage && (strings.HasPrefix(body, "5") || strings.HasPrefix(body, "6")):
		return c.begin(body)
	case strings.HasPrefix(packet, "b"):
		return c.attachment(packet[1:])
	}
	return fmt.Errorf("unexpected packet of type %.2q", packet)
}

// packet hears an event or an acknowledgement, once all of it is there.
func (c *Client) packet(body string, attachments [][]byte) error {
	id, _, _ := strings.Cut(body[1:], "[")
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(body[1+len(id):]), &list); err != nil {
		return errors.New("unexpected form of an event or an acknowledgement")
	}
	list = realtime.Message{Args: list, Attachments: attachments}.JSON()
	if body[0] == '3' {
		c.acknowledged(id, list)
		return nil
	}
	return c.event(id, list)
}

func (c *Client) event(id string, list []json.RawMessage) error {
	event := Event{ack: id}
	if len(list) == 0 || json.Unmarshal(list[0], &event.Name) != nil {
		return errors.New("unexpected form of an event's name")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(list) - 1
	if c.pid != "" && id == "" && last > 0 && list[last][0] == '"' && json.Unmarshal(list[last], &c.offset) == nil {
		event.Offset = c.offset
		list = list[:last]
	}
	if event.Name == "telemed:at" { // it brings an offset, and no page listens to it
		return nil
	}
	if len(list) > 1 {
		event.Data = list[1]
	}
	if len(list) > 2 {
		event.More = list[2:]
	}
	c.events = append(c.events, event)
	c.signal()
	return nil
}

func (c *Client) acknowledged(id string, args []json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer := c.acks[id]; answer != nil {
		answer <- args // has room: an id is answered once
		delete(c.acks, id)
	}
}

// binary is a packet whose attachments follow it.
type binary struct {
	body        string // as that of a packet without any
	count       int
	attachments [][]byte
}

func (c *Client) begin(body string) error {
	digits, rest, _ := strings.Cut(body[1:], "-")
	count, err := strconv.Atoi(digits)
	if err != nil || count < 1 {
		return errors.New("unexpected form of a binary event")
	}
	c.binary = &binary{body: string(body[0]-3) + rest, count: count}
	return nil
}

func (c *Client) attachment(text string) error {
	b := c.binary
	data, err := base64.StdEncoding.DecodeString(text)
	if b == nil || err != nil {
		return errors.New("unexpected binary message")
	}
	if b.attachments = append(b.attachments, data); len(b.attachments) < b.count {
		return nil
	}
	c.binary = nil
	return c.packet(b.body, b.attachments)
}
