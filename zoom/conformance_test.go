package zoom_test

import (
	"testing"

	"github.com/telemed-go/telemed/meet/meettest"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	meettest.Run(t, func(t *testing.T) meettest.Harness {
		c := newClinic(t, zoomtest.Config{})
		return meettest.Harness{Provider: c.Client, DoctorID: doctor, Stranger: "dr-who"}
	})
}
