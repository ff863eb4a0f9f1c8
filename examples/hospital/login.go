package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
	"github.com/telemed-go/telemed/store/oauth"
)

// door is what stands before all pages: under which names the hospital is reached, and who
// is logged in.
type door struct {
	*guard.Guard
	*guard.Sessions
	hosts []string
	live  *socketio.Server
}

// openDoor believes the proxy on this machine that a public address needs. The door has the
// live server too, because the end of a login is the end of its dashboards.
func (h *hospital) openDoor() error {
	u, err := url.Parse(h.base)
	if err != nil || u.Host == "" {
		return errors.New("-url must be an address such as https://clinic.example")
	}
	d := &door{hosts: []string{u.Host, h.listener.Addr().String()}}
	if d.Guard, err = guard.New(guard.Config{Hosts: d.hosts, TrustProxy: h.public != "", BodyTime: h.bodyTime}); err != nil {
		return err
	}
	d.Sessions = d.NewSessions(guard.SessionsConfig{
		Cookie: sessionCookie, Keep: h.keepLogin, Forget: h.forgetLogin,
		// Dashboards that are still logged in come back by themselves.
		// Without a Journal it cannot fail.
		OnEnd: func(subject string) { _, _ = d.live.Hub().Disconnect(context.Background(), subject) },
	})
	h.door = d
	d.live, err = socketio.New(socketio.Config{Authenticate: d.watcher, Authorize: mayWatch, AllowedHosts: d.hosts, Logger: h.log})
	return err
}

// keepLogin has a login outlive the process, so that nobody logs in again after a restart.
func (h *hospital) keepLogin(s guard.Session) error {
	_, err := h.rows.ExecContext(context.Background(), `INSERT INTO logins (session, subject, began) VALUES ($1, $2, $3)`, s.Key, s.Subject, s.Began.Unix())
	return err
}

func (h *hospital) forgetLogin(key string) {
	if _, err := h.rows.ExecContext(context.Background(), `DELETE FROM logins WHERE session = $1`, key); err != nil {
		h.log.Error("a login that has ended is still kept", slog.Any("error", err))
	}
}

// refreshing is how tokens are refreshed. Who dies with one is taken for dead by the pace.
func (h *hospital) refreshing(spool oauth.Spool) oauth.Tuning {
	return oauth.Tuning{Spool: spool, Timeout: h.pace, LeaseTTL: 2 * h.pace}
}

// restore takes up what the process before this one had: logins, and tokens not saved yet.
func (h *hospital) restore(ctx context.Context) error {
	return errors.Join(h.restoreLogins(ctx), oauth.Recover(ctx, h.google.Tokens(), h.zoom.Tokens()))
}

// restoreLogins lets those in who were logged in before the process died.
func (h *hospital) restoreLogins(ctx context.Context) error {
	rows, err := h.rows.QueryContext(ctx, `SELECT session, subject, began FROM logins ORDER BY began DESC`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var kept []guard.Session
	for rows.Next() {
		var s guard.Session
		var began int64
		if err := rows.Scan(&s.Key, &s.Subject, &began); err != nil {
			return err
		}
		s.Began = time.Unix(began, 0)
		kept = append(kept, s)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	h.door.Restore(kept...)
	return nil
}

// Shutdown ends the logins.
func (d *door) Shutdown(context.Context) error {
	d.Sessions.Close()
	return nil
}

// watcher says who opens a dashboard. Strangers may connect, and join nothing.
func (d *door) watcher(r *http.Request) (string, error) {
	subject, err := d.Subject(r)
	if errors.Is(err, guard.ErrNoSession) {
		return "", nil
	}
	return subject, err
}

func mayWatch(_ context.Context, who realtime.Client, room string) error {
	if who.Subject != doctor.ID || room != "clinic-"+clinicID {
		return telemed.ErrForbidden
	}
	return nil
}

func (h *hospital) postLogin(w http.ResponseWriter, r *http.Request) {
	if err := h.door.Attempt(r); err != nil {
		w.Header().Set("Retry-After", "60")
		h.show(w, r, http.StatusTooManyRequests, "error.html", problem{Text: "There were too many logins from here. Please try again in a minute."})
		return
	}
	h.to(w, r, ownPath(cmp.Or(r.PostFormValue("back"), "/doctor")), h.door.Begin(w, r, doctor.ID))
}

func (h *hospital) postLogout(w http.ResponseWriter, r *http.Request) {
	if subject := h.door.End(w, r); subject != "" {
		// Those that are logged in come back by themselves.
		_, _ = h.door.live.Hub().Disconnect(r.Context(), subject)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// ofStaff has those log in first who are not.
func (h *hospital) ofStaff(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := h.door.Subject(r); err != nil {
			h.show(w, r, http.StatusUnauthorized, "login.html", map[string]string{"Doctor": doctor.Name, "Back": backOf(r)})
			return
		}
		next(w, r)
	}
}

// listen refuses addresses that others can reach, because the login has no password.
func listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return nil, errors.New("-addr must be a loopback address with a port, such as 127.0.0.1:3001")
	}
	listener, err := net.Listen("tcp", addr) //nolint:noctx // it ends with the hospital
	if err != nil {
		return nil, fmt.Errorf("%w (another port can be had with -addr 127.0.0.1:3002)", err)
	}
	return listener, nil
}
