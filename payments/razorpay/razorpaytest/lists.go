package razorpaytest

import (
	"fmt"
	"iter"
	"math"
	"net/http"
	"slices"
)

// The times that Razorpay takes in a list: from 2000 to 2120, in seconds.
const (
	earliest = 946684800
	latest   = 4765046400
)

// newest walks over entities, which are kept in the order of their making.
func newest[T any](all []T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, item := range slices.Backward(all) {
			if !yield(item) {
				return
			}
		}
	}
}

// page makes a page of a list, the newest first. created says when an entity was made.
func page[T any](params object, all []T, created func(T) int64, fits func(T) bool, doc func(T) object) (object, *Refusal) {
	from, refused := timeOf(params, "from", earliest)
	if refused != nil {
		return nil, refused
	}
	to, refused := timeOf(params, "to", latest)
	if refused != nil {
		return nil, refused
	}
	count, given, refused := numberOf(params, "count", 1, 100)
	if refused != nil {
		return nil, refused
	}
	if !given {
		count = 10
	}
	skip, _, refused := numberOf(params, "skip", 0, math.MaxInt32)
	if refused != nil {
		return nil, refused
	}
	var docs []object
	for item := range newest(all) {
		if at := created(item); at < from || at > to || !fits(item) {
			continue
		}
		if skip--; skip < 0 && int64(len(docs)) < count {
			docs = append(docs, doc(item))
		}
	}
	return collection(docs), nil
}

func timeOf(params object, field string, otherwise int64) (int64, *Refusal) {
	at, given, refused := numberOf(params, field, math.MinInt64, math.MaxInt64)
	switch {
	case refused != nil:
		return 0, refused
	case !given:
		return otherwise, nil
	case at < earliest || at > latest:
		return 0, refusal(http.StatusBadRequest, fmt.Sprintf("%s must be between %d and %d", field, earliest, latest), "")
	}
	return at, nil
}

func collection(items []object) object {
	if items == nil {
		items = []object{}
	}
	return object{"entity": "collection", "count": len(items), "items": items}
}

// edited replaces notes, which is all that can be edited.
func edited(c call, notes *map[string]string, doc func() object) (object, *Refusal) {
	if c.params["notes"] == nil {
		return nil, refusal(http.StatusBadRequest, "The notes field is required.", "notes")
	}
	given, refused := notesOf(c.params["notes"])
	if refused != nil {
		return nil, refused
	}
	*notes = given
	return doc(), nil
}

func (s *Server) findOrder(id string) *order {
	return find(s.orders, func(o *order) bool { return o.id == id })
}

func (s *Server) findPayment(id string) *payment {
	return find(s.payments, func(p *payment) bool { return p.id == id })
}

func (s *Server) findRefund(id string) *refund {
	return find(s.refunds, func(r *refund) bool { return r.id == id })
}

func find[T any](all []*T, fits func(*T) bool) *T {
	i := slices.IndexFunc(all, fits)
	if i < 0 {
		return nil
	}
	return all[i]
}
