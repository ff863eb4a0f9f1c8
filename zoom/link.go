package zoom

import (
	"errors"
	"net/url"
	"strings"

	"github.com/telemed-go/telemed"
)

// usable refuses a meeting whose join link a patient must not be sent to.
func (s *session) usable(m *meeting) error {
	if !s.leadsToZoom(m.JoinURL) {
		return s.foreignLink(m)
	}
	return nil
}

var errForeignLink = errors.New("the link does not lead to Zoom")

func (s *session) foreignLink(m *meeting) *Error {
	return &Error{Op: s.op, MeetingID: m.id(), kind: telemed.ErrConflict, err: errForeignLink}
}

// leadsToZoom reports whether a link has the scheme of Endpoints.Join, and its host or
// one below it: "clinic.zoom.us".
func (c *Client) leadsToZoom(link string) bool {
	u, err := url.Parse(link)
	if err != nil || u.User != nil || len(u.Path) < 2 || u.Scheme != c.join.Scheme {
		return false
	}
	return u.Port() == c.join.Port() && within(strings.ToLower(u.Hostname()), strings.ToLower(c.join.Hostname()))
}
