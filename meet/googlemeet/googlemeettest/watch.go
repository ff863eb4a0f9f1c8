package googlemeettest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/telemed-go/telemed/internal/address"
)

// channel is where notifications of changes go.
type channel struct {
	id, resourceID, resourceURI, address, token string
	expires                                     time.Time
	of                                          *access // what is watched
	number                                      int     // of the last notification
	last                                        chan struct{}
}

// watch opens a channel. See
// https://developers.google.com/workspace/calendar/api/guides/push.
func watch(a *access) reply {
	if failure := a.checkList(); failure != nil {
		return *failure
	}
	body, failure := a.readBody(channelForm)
	if failure != nil {
		return *failure
	}
	expires, failure := a.channelEnd(body)
	if failure != nil {
		return *failure
	}
	if failure := a.checkChannel(body); failure != nil {
		return *failure
	}
	uri := a.url + apiPath + "/calendars/" + url.PathEscape(a.calendar) + "/events?alt=json"
	if query := a.in.URL.RawQuery; query != "" {
		uri += "&" + query
	}
	sum := sha256.Sum256([]byte(a.account.email + " " + uri))
	c := &channel{
		id: str(body["id"]), resourceID: base64.RawURLEncoding.EncodeToString(sum[:20]), resourceURI: uri,
		address: str(body["address"]), token: str(body["token"]), expires: expires, of: a,
	}
	a.channels[c.id] = c
	a.push(c, "sync")
	doc := object{
		"kind": "api#channel", "id": c.id, "resourceId": c.resourceID, "resourceUri": uri,
		"expiration": strconv.FormatInt(expires.UnixMilli(), 10),
	}
	if c.token != "" {
		doc["token"] = c.token
	}
	return reply{status: http.StatusOK, doc: doc}
}

func (a *access) checkChannel(body object) *reply {
	refused := func(reason, message string) *reply { return new(apiError(http.StatusBadRequest, reason, message)) }
	target, err := url.Parse(str(body["address"]))
	open := a.channels[str(body["id"])]
	switch {
	case str(body["id"]) == "":
		return refused("required", "Missing channel id.")
	case len(str(body["id"])) > 64:
		return refused("invalid", "Invalid channel id.")
	case body["type"] == nil:
		return refused("required", "Missing channel type.")
	case err != nil || target.Host == "":
		return refused("required", "Missing or invalid channel address.")
	case target.Scheme != "https" && !(target.Scheme == "http" && address.Loopback(target.Hostname())):
		return refused("push.webhookUrlNotHttps", "WebHook callback must be HTTPS: "+str(body["address"]))
	case open != nil && a.engine.Now().Before(open.expires):
		return refused("channelIdNotUnique", "Channel id not unique")
	}
	return nil
}

// channelLifetime is that of a channel whose client asks for none.
const channelLifetime = 7 * 24 * time.Hour

// channelEnd reads expiration, in milliseconds, or the parameter ttl, in seconds.
func (a *access) channelEnd(body object) (time.Time, *reply) {
	expires := a.engine.Now().Add(channelLifetime)
	params, _ := body["params"].(object)
	for name := range params {
		if name != "ttl" {
			return expires, new(apiError(http.StatusBadRequest, "invalid", "Invalid channel parameter: "+name))
		}
	}
	if ttl := str(params["ttl"]); ttl != "" {
		seconds, err := strconv.Atoi(ttl)
		if err != nil || seconds < 1 {
			return expires, new(apiError(http.StatusBadRequest, "invalid", "Invalid value for: ttl"))
		}
		expires = a.engine.Now().Add(time.Duration(seconds) * time.Second)
	}
	if at, ok := body["expiration"].(float64); ok {
		expires = time.UnixMilli(int64(at))
	}
	if !expires.After(a.engine.Now()) {
		return expires, new(apiError(http.StatusBadRequest, "invalid", "Invalid value for: expiration"))
	}
	return expires, nil
}

// stop closes a channel. See
// https://developers.google.com/workspace/calendar/api/v3/reference/channels/stop.
func stop(a *access) reply {
	body, failure := a.readBody(channelForm)
	if failure != nil {
		return *failure
	}
	c := a.channels[str(body["id"])]
	if c == nil || c.resourceID != body["resourceId"] || c.of.account != a.account || !a.engine.Now().Before(c.expires) {
		return apiError(http.StatusNotFound, "notFound", "Channel '"+str(body["id"])+"' not found for project '000000000000'")
	}
	delete(a.channels, c.id)
	return reply{status: http.StatusNoContent}
}

// notify tells the channels of an event's calendar that it has changed. Only the first
// edit of an event is made before the event stands in its calendar.
func (s *Server) notify(e *event) {
	for _, c := range s.channels {
		watches := c.of.account.email == e.account && c.of.calendar == e.calendar && s.engine.Now().Before(c.expires)
		if watches && c.of.wanted(e.doc, e.edit) {
			s.push(c, "exists")
		}
	}
}

// push sends a notification, after those before it. It has no body, and nobody sends it
// again. The caller holds s.mu.
func (s *Server) push(c *channel, state string) {
	if s.closed {
		return
	}
	c.number++
	header := http.Header{}
	for name, value := range map[string]string{
		"X-Goog-Channel-Id": c.id, "X-Goog-Channel-Token": c.token, "X-Goog-Resource-Id": c.resourceID,
		"X-Goog-Channel-Expiration": c.expires.UTC().Format(http.TimeFormat), "X-Goog-Resource-Uri": c.resourceURI,
		"X-Goog-Resource-State": state, "X-Goog-Message-Number": strconv.Itoa(c.number),
	} {
		if value != "" {
			header.Set(name, value)
		}
	}
	before, done := c.last, make(chan struct{})
	c.last = done
	s.pushes.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		s.post(s.engine.Life(), c.address, header)
	})
}

func (s *Server) post(ctx context.Context, target string, header http.Header) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return // checkChannel has read the address
	}
	req.Header = header
	if resp, err := s.cfg.HTTPClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}
