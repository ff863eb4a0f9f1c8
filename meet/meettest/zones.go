package meettest

import (
	"testing"
	"time"

	"github.com/telemed-go/telemed/meet"
)

// zonesAllYear puts a meeting on each month of the coming year, in zones that change their
// clocks in the north, in the south, by half an hour and never, and moves it from one into
// the next. What the calendar on the wall says stays.
func zonesAllYear(t *testing.T, h Harness) {
	names := []string{"America/New_York", "Australia/Sydney", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/Dublin"}
	req := request("appt-1")
	created := mustCreate(t, h, req)
	first := time.Now().AddDate(0, 0, 3)
	for i, name := range names {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Skip("this machine knows no zones")
		}
		for half := range 2 { // one of them has summer time
			req.Start = time.Date(first.Year(), first.Month()+time.Month(2*i+6*half), 15, 9, 30, 0, 0, zone)
			if req.Start.Before(first) {
				req.Start = req.Start.AddDate(0, 1, 0)
			}
			moved, err := h.Provider.Update(t.Context(), h.DoctorID, created.ID, req)
			if err != nil {
				t.Fatalf("Update to %v: %v", req.Start, err)
			}
			got, err := h.Provider.Get(t.Context(), h.DoctorID, created.ID)
			if err != nil {
				t.Fatalf("Get: %v", err)
			}
			if !moved.Start.Equal(req.Start) || !got.Start.Equal(req.Start) {
				t.Errorf("%s: start is %v and %v, want %v", name, moved.Start, got.Start, req.Start)
			}
			if shown := got.Start.In(zone).Format("15:04"); shown != "09:30" {
				t.Errorf("%s: the wall shows %s, want 09:30", name, shown)
			}
			if told := meet.ZoneName(got.Start); told != name && told != "" && told != "UTC" {
				t.Errorf("%s: the meeting is shown in %s", name, told)
			}
			if got.JoinURL != created.JoinURL {
				t.Errorf("%s: another join link", name)
			}
		}
	}
	h.wantLive(t, 1)
}
