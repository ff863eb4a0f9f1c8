package routers_test

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v5"
)

func Example_chi() {
	a := newApp()
	r := chi.NewRouter()
	r.Handle("/api/auth/{provider}/doctor/{action}", a.accounts)
	r.Handle("/api/payments/{action}", a.payments)
	r.Method(http.MethodDelete, "/api/appointments/{id}", a.appointment)
	r.Handle("/socket.io/*", a.live)
	a.visit(r)
	// Output:
	// GET /api/auth/zoom/doctor/connect 303 /oauth/authorize
	// GET /api/auth/zoom/doctor/status 200
	// POST /api/payments/webhook 401
	// DELETE /api/appointments/appt-42 404
	// join-clinic {"ok":true} <nil>
}

// gin's parameters become the request's.
func ginHandler(h http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		for _, p := range c.Params {
			c.Request.SetPathValue(p.Key, p.Value)
		}
		h.ServeHTTP(c.Writer, c.Request)
	}
}

func Example_gin() {
	a := newApp()
	gin.SetMode(gin.ReleaseMode) // which prints no routes
	r := gin.New()
	r.Any("/api/auth/:provider/doctor/:action", ginHandler(a.accounts))
	r.Any("/api/payments/:action", ginHandler(a.payments))
	r.DELETE("/api/appointments/:id", ginHandler(a.appointment))
	r.Any("/socket.io/*any", ginHandler(a.live))
	a.visit(r)
	// Output:
	// GET /api/auth/zoom/doctor/connect 303 /oauth/authorize
	// GET /api/auth/zoom/doctor/status 200
	// POST /api/payments/webhook 401
	// DELETE /api/appointments/appt-42 404
	// join-clinic {"ok":true} <nil>
}

func Example_echo() {
	a := newApp()
	e := echo.New()
	e.Any("/api/auth/:provider/doctor/:action", echo.WrapHandler(a.accounts))
	e.Any("/api/payments/:action", echo.WrapHandler(a.payments))
	e.DELETE("/api/appointments/:id", echo.WrapHandler(a.appointment))
	e.Any("/socket.io/*", echo.WrapHandler(a.live))
	a.visit(e)
	// Output:
	// GET /api/auth/zoom/doctor/connect 303 /oauth/authorize
	// GET /api/auth/zoom/doctor/status 200
	// POST /api/payments/webhook 401
	// DELETE /api/appointments/appt-42 404
	// join-clinic {"ok":true} <nil>
}
