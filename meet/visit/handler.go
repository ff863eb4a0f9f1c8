package visit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/store/durable"
)

// Change is what a page does in one transaction: the application's own rows by tx, and the
// visit by visits, both or neither. user is who is logged in, id the {id} of the pattern. It
// may be called again, so it changes nothing else.
type Change[T durable.Store] func(r *http.Request, tx T, visits Writer, user, id string) error

// Handler answers a page of a patient, for a pattern with {id}. It runs change in inTx, such
// as sqlstore.Store.InTx, and then answers {"id", "status", "start", "join_url", "refund",
// "checkout", …}; checkout is what the gateway's script takes while the visit is to be paid.
// r.Form is parsed before change.
//
//	401  user returns nobody
//	403  a page of another site; that of Config.ReturnURL may ask
//	400  a telemed.FieldError: {"fields": [{"field", "problem"}]}
//	404  telemed.ErrNotFound, such as another one's row
//	409  telemed.ErrConflict, such as ErrTaken
//	503  the database or the gateway is away; the visit may be booked, and the page asks again
//	500  anything else, which is logged without its words and not told
//
// It is a convenience over WithStore, Checkout and Get.
func Handler[T durable.Store](v *Visits, inTx func(context.Context, func(T) error) error, user func(*http.Request) (string, error), change Change[T]) http.Handler {
	run := func(r *http.Request, who, id string) error {
		return fault.OfApplication("the transaction", inTx(r.Context(), func(tx T) error { return change(r, tx, v.WithStore(tx), who, id) }))
	}
	return v.handler(user, run)
}

// maxForm is how long a page's form may be, in bytes.
const maxForm = 64 << 10

func (v *Visits) handler(user func(*http.Request) (string, error), run func(r *http.Request, who, id string) error) http.Handler {
	origins := v.origins()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		who, err := user(r)
		if err != nil || who == "" {
			inbound.Bound(w, r)
			answer(w, http.StatusUnauthorized, problem{Error: "not logged in"})
			return
		}
		if origins.Check(r) != nil {
			inbound.Bound(w, r)
			answer(w, http.StatusForbidden, problem{Error: "another site's page"})
			return
		}
		if err := readForm(w, r); err != nil {
			v.refuse(w, err)
			return
		}
		id := r.PathValue("id")
		if err := run(r, who, id); err != nil {
			v.refuse(w, err)
			return
		}
		v.runner.Wake()
		shown, err := v.Checkout(r.Context(), id)
		if err != nil {
			v.refuse(w, err)
			return
		}
		answer(w, http.StatusOK, shown.Visit.page(shown.Options))
	})
}

// origins lets pages of this site and of ReturnURL's ask.
func (v *Visits) origins() *http.CrossOriginProtection {
	origins := http.NewCrossOriginProtection()
	if page, err := url.Parse(v.cfg.ReturnURL); err == nil && page.Host != "" {
		_ = origins.AddTrustedOrigin(page.Scheme + "://" + page.Host) // New has checked it
	}
	return origins
}

// readForm parses the form, whose body is then there once more for change.
func readForm(w http.ResponseWriter, r *http.Request) error {
	body, err := inbound.Read(w, r, maxForm)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := r.ParseForm(); err != nil {
		return fault.Invalid("visit", "Form", "is no form")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// problem is the answer to what cannot be done.
type problem struct {
	Error  string  `json:"error"`
	Fields []field `json:"fields,omitempty"`
}

type field struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
}

// refuse answers an error without any words but ours.
func (v *Visits) refuse(w http.ResponseWriter, err error) {
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		answer(w, http.StatusRequestEntityTooLarge, problem{Error: "too long"})
	case errors.Is(err, telemed.ErrInvalid), errors.Is(err, telemed.ErrSignature):
		p := problem{Error: "invalid"}
		for _, wrong := range telemed.Fields(err) {
			p.Fields = append(p.Fields, field{wrong.Field, wrong.Problem})
		}
		answer(w, http.StatusBadRequest, p)
	case errors.Is(err, telemed.ErrNotFound):
		answer(w, http.StatusNotFound, problem{Error: "not found"})
	case errors.Is(err, ErrTaken):
		answer(w, http.StatusConflict, problem{Error: "taken"})
	case errors.Is(err, telemed.ErrConflict):
		answer(w, http.StatusConflict, problem{Error: "conflict"})
	case errors.Is(err, telemed.ErrUnavailable), errors.Is(err, telemed.ErrAmbiguous), errors.Is(err, telemed.ErrRateLimited),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		v.cfg.Logger.Warn("visit: a page cannot be answered now", slog.Any("error", err))
		w.Header().Set("Retry-After", "2")
		answer(w, http.StatusServiceUnavailable, problem{Error: "ask again"})
	default:
		v.cfg.Logger.Error("visit: a page failed", slog.Any("error", err))
		answer(w, http.StatusInternalServerError, problem{Error: "failed"})
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
