package zoom

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/internal/wait"
)

// leftBehind looks for a meeting that an earlier Create may have made without writing it
// down; nil if there is none. One that is listed is believed at once. That none is there
// is believed when Zoom's list must have caught up.
func (s *session) leftBehind(ctx context.Context, entry *meetkey.Entry, mark string) (*meeting, error) {
	asked := entry.Record.State == meetkey.Asked
	if !asked && !s.records.Forgets {
		return nil, nil
	}
	settled := max(5*s.cfg.LookAfter, s.minSettle)
	for {
		found, err := s.find(ctx, mark)
		if err != nil || found != nil || !asked {
			return found, err
		}
		left := settled - time.Since(entry.Record.Over)
		if left <= 0 {
			return nil, nil
		}
		if err := wait.For(ctx, min(left, settled, lookEvery)); err != nil {
			return nil, &Error{Op: s.op, kind: telemed.ErrAmbiguous, err: err}
		}
	}
}

const (
	// listSettles is how far behind Zoom's list may be, at the least that is allowed for.
	listSettles = 10 * time.Second
	// lookEvery is the pause between two looks into the list.
	lookEvery = time.Second
)

// lookAfter looks, after a pause, for the meeting of a create whose answer was lost.
func (s *session) lookAfter(ctx context.Context, mark string) *meeting {
	if wait.For(ctx, s.cfg.LookAfter) != nil {
		return nil
	}
	found, err := s.find(ctx, mark)
	if err != nil {
		return nil
	}
	return found
}

// find returns the meeting with the mark, nil if there is none. If there are several, it
// is the oldest. The others stay: somebody may have been given their links.
func (s *session) find(ctx context.Context, mark string) (*meeting, error) {
	listed, err := s.marked(ctx, mark)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(listed, inOrder)
	for _, m := range listed {
		found, err := s.get(ctx, m.id())
		if !gone(err) {
			return found, err
		}
	}
	return nil, nil
}

// inOrder compares meetings by age. Zoom tells it in seconds; within one, the id decides.
func inOrder(a, b meeting) int {
	return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// The list is read in pages, as many as a doctor can fill by 100 meetings a day over
// months.
const (
	pageSize = "300"
	maxPages = 100
)

// marked lists the meetings with the mark. It reads all that are not expired and asks for
// no date: a meeting that was moved is still its key's.
func (s *session) marked(ctx context.Context, mark string) ([]meeting, error) {
	var all []meeting
	query := url.Values{"type": {"scheduled"}, "page_size": {pageSize}}
	for range maxPages {
		var page page
		if err := s.ask(ctx, rest.Request{Path: "/users/me/meetings", Query: query}, &page); err != nil {
			return nil, err
		}
		for _, m := range page.Meetings {
			if strings.HasPrefix(m.Agenda, mark) {
				all = append(all, m)
			}
		}
		if page.Next == "" {
			return all, nil
		}
		query.Set("next_page_token", page.Next)
	}
	return nil, &Error{Op: s.op, kind: telemed.ErrUnavailable, err: errors.New("the list of meetings does not end")}
}
