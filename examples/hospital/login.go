package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/guard"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// door is what stands before all pages: under which names the hospital is reached, and who
// is logged in.
type door struct {
	*guard.Guard
	*guard.Sessions
	hosts []string
	live  *socketio.Server
}

// newDoor believes the proxy on this machine that a public address needs. It has the live
// server too, because the end of a login is the end of its dashboards.
func newDoor(o options, base, local string) (*door, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, errors.New("-url must be an address such as https://clinic.example")
	}
	d := &door{hosts: []string{u.Host, local}}
	if d.Guard, err = guard.New(guard.Config{Hosts: d.hosts, TrustProxy: o.public != ""}); err != nil {
		return nil, err
	}
	d.Sessions = d.NewSessions(guard.SessionsConfig{
		Cookie: sessionCookie,
		// Dashboards that are still logged in come back by themselves.
		// Without a Journal it cannot fail.
		OnEnd: func(subject string) { _, _ = d.live.Hub().Disconnect(context.Background(), subject) },
	})
	d.live, err = socketio.New(socketio.Config{Authenticate: d.watcher, Authorize: mayWatch, AllowedHosts: d.hosts, Logger: o.log})
	return d, err
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
		h.show(w, http.StatusTooManyRequests, "error.html", problem{Text: "There were too many logins from here. Please try again in a minute."})
		return
	}
	h.door.Begin(w, r, doctor.ID)
	http.Redirect(w, r, "/doctor/settings/integration", http.StatusSeeOther)
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
			h.show(w, http.StatusUnauthorized, "login.html", doctor.Name)
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
