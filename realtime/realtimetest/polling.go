package realtimetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// poller is a wire on HTTP long-polling.
type poller struct {
	http    *http.Client
	header  http.Header
	address string
	posting sync.Mutex // one POST after the other: the protocol wants it
	closing sync.Once
}

func dialPolling(ctx context.Context, endpoint *url.URL, options Options) (wire, error) {
	p := &poller{
		http:    &http.Client{Transport: &http.Transport{TLSClientConfig: options.TLS}},
		header:  options.Header,
		address: withQuery(endpoint, Polling, "").String(),
	}
	opened, err := firstPacket(p.read(ctx))
	if err != nil {
		p.http.CloseIdleConnections()
		return nil, err
	}
	p.address = withQuery(endpoint, Polling, opened.SID).String()
	return p, nil
}

func (p *poller) read(ctx context.Context) ([]string, error) {
	body, err := p.do(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	return strings.Split(body, "\x1e"), nil
}

func (p *poller) write(ctx context.Context, packet string) error {
	p.posting.Lock()
	defer p.posting.Unlock()
	_, err := p.do(ctx, http.MethodPost, strings.NewReader(packet))
	return err
}

func (p *poller) do(ctx context.Context, method string, body io.Reader) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, p.address, body)
	if err != nil {
		return "", fmt.Errorf("realtimetest: polling: %w", err)
	}
	for name, values := range p.header {
		request.Header[name] = values
	}
	if body != nil {
		request.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	response, err := p.http.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // without the URL, which holds the session's id
	}
	if err != nil {
		return "", fmt.Errorf("realtimetest: polling: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", newHandshakeError(response.StatusCode, readText(response.Body))
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxMessage))
	if err != nil {
		return "", fmt.Errorf("realtimetest: polling: %w", err)
	}
	return string(text), nil
}

// close tells the server, which may have gone already.
func (p *poller) close() {
	p.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.write(ctx, "1")
		p.http.CloseIdleConnections()
	})
}
