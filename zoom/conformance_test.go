package zoom_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func (c *clinic) harness(t *testing.T) meettest.Harness {
	t.Helper()
	second := c.another(t)
	for _, client := range []*zoom.Client{c.Client, second} {
		client.ListSettlesIn(listLag / 2)
	}
	losses := map[string]func(){}
	for _, op := range []string{zoomtest.OpCreate, zoomtest.OpList, zoomtest.OpGet, zoomtest.OpUpdate, zoomtest.OpDelete, zoomtest.OpToken} {
		for kind, fault := range map[string]zoomtest.Fault{
			"answer": {LoseAnswer: true}, "request": {LoseRequest: true}, "half of the answer": {Cut: true},
			"answer, replaced by a 502":  {LoseAnswer: true, Status: http.StatusBadGateway, Body: "<html>"},
			"request, refused by a 404":  {Status: http.StatusNotFound, Body: "<html>"},
			"every answer for some time": {LoseAnswer: true, Times: 4},
		} {
			fault.Op = op
			losses[kind+" of "+op] = func() { c.fake.FailNext(fault) }
		}
	}
	return meettest.Harness{
		Provider: c.Client, Second: second, DoctorID: doctor, Stranger: "dr-who",
		Losses: losses, Live: func() int { return len(c.live()) },
		Reconnect: func(t *testing.T) { t.Helper(); c.connectAs(t, secondUser.ID) },
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	meettest.Run(t, func(t *testing.T) meettest.Harness { return newClinic(t, twoAccounts()).harness(t) })
}

// TestConformanceOfOneProcess is for a client whose Claims are its own memory.
func TestConformanceOfOneProcess(t *testing.T) {
	t.Parallel()
	meettest.Run(t, func(t *testing.T) meettest.Harness {
		c := newClinic(t, twoAccounts())
		h := c.harness(t)
		h.Provider, h.Second, h.Losses = c.forgetful(t), nil, nil
		return h
	})
}

// TestConformanceWithALag lets Zoom's list lag behind.
func TestConformanceWithALag(t *testing.T) {
	t.Parallel()
	meettest.Run(t, func(t *testing.T) meettest.Harness {
		cfg := twoAccounts()
		cfg.ListLag = listLag / 5
		h := newClinic(t, cfg).harness(t)
		for name := range h.Losses {
			if name != "answer of create" && name != "request of create" { // the others do not meet the list
				delete(h.Losses, name)
			}
		}
		require.Len(t, h.Losses, 2)
		return h
	})
}
