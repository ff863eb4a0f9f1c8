package zoomtest

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// pageLifetime is how long a token for the next page works.
const pageLifetime = 15 * time.Minute

// page is the rest of a list that was begun. What is new since then is not in it.
type page struct {
	userID, kind string
	rest         []*meeting
	total        int
	expires      time.Time
}

// listQuery is the query of a list, once it was read.
type listQuery struct {
	kind         string
	size, number int
	from, to     time.Time
}

// list shows a page of the user's meetings, those that began 30 days ago or longer left
// out. See https://developers.zoom.us/docs/api/meetings/#tag/meetings/get/users/{userId}/meetings.
func (s *Server) list(w http.ResponseWriter, r *http.Request, user User) {
	query, wrong := readListQuery(r)
	if wrong != "" {
		refuse(w, http.StatusBadRequest, 300, "Validation Failed.", wrong)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var from page
	if token := r.URL.Query().Get("next_page_token"); token != "" {
		from = s.pages[token]
		if from.userID != user.ID || from.kind != query.kind || s.engine.Now().After(from.expires) {
			refuse(w, http.StatusBadRequest, 300, "The next page token is invalid or expired.")
			return
		}
	} else {
		listed := s.listed(user, query)
		from = page{
			userID: user.ID, kind: query.kind, rest: listed[min((query.number-1)*query.size, len(listed)):], total: len(listed),
			expires: s.engine.Now().Add(pageLifetime),
		}
	}
	writeJSON(w, http.StatusOK, s.show(from, min(query.size, s.cfg.MaxPage)))
}

// show answers with the beginning of what is left, and a token for the rest.
func (s *Server) show(from page, size int) map[string]any {
	end := min(size, len(from.rest))
	items := []map[string]any{}
	for _, m := range from.rest[:end] {
		if !m.Deleted {
			items = append(items, s.wireItem(m))
		}
	}
	token := ""
	if from.rest = from.rest[end:]; len(from.rest) > 0 {
		token = rand.Text()
		s.pages[token] = from
	}
	return map[string]any{"page_size": size, "total_records": from.total, "next_page_token": token, "meetings": items}
}

// readListQuery returns the field that is wrong, if one is.
func readListQuery(r *http.Request) (q listQuery, wrong string) {
	values := r.URL.Query()
	var err error
	q.kind = cmp.Or(values.Get("type"), "scheduled")
	if !slices.Contains([]string{"scheduled", "upcoming", "upcoming_meetings", "live", "previous_meetings"}, q.kind) {
		return q, "type"
	}
	if q.size, err = strconv.Atoi(cmp.Or(values.Get("page_size"), "30")); err != nil || q.size < 1 || q.size > 300 {
		return q, "page_size"
	}
	if q.number, err = strconv.Atoi(cmp.Or(values.Get("page_number"), "1")); err != nil || q.number < 1 {
		return q, "page_number"
	}
	zone, err := time.LoadLocation(cmp.Or(values.Get("timezone"), "UTC"))
	if err != nil {
		return q, "timezone"
	}
	if from := values.Get("from"); from != "" {
		if q.from, err = time.ParseInLocation(time.DateOnly, from, zone); err != nil {
			return q, "from"
		}
	}
	if to := values.Get("to"); to != "" {
		if q.to, err = time.ParseInLocation(time.DateOnly, to, zone); err != nil {
			return q, "to"
		}
		q.to = q.to.AddDate(0, 0, 1) // that day too
	}
	return q, ""
}

func (s *Server) listed(user User, query listQuery) []*meeting {
	at := s.engine.Now()
	listed := []*meeting{}
	for _, m := range s.meetings {
		visible := m.DoctorID == user.ID && !m.Deleted && at.Sub(m.CreatedAt) >= s.cfg.ListLag
		over := !m.Started && m.Start.Add(m.Duration).Before(at)
		switch query.kind {
		case "upcoming", "upcoming_meetings":
			visible = visible && !over && m.Start.Before(at.AddDate(0, 6, 0))
		case "live":
			visible = visible && m.Started
		case "previous_meetings":
			visible = visible && over
		default:
			visible = visible && m.Start.After(at.AddDate(0, 0, -30))
		}
		inRange := (query.from.IsZero() || !m.Start.Before(query.from)) && (query.to.IsZero() || m.Start.Before(query.to))
		if visible && inRange {
			listed = append(listed, m)
		}
	}
	return listed
}
