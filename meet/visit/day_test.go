package visit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store/durable"
)

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestHoursOfADoctorDoNotOverlap(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		from, to string
		taken    bool
	}{
		"before":               {"2099-03-02 09:00", "2099-03-02 10:00", false},
		"over the beginning":   {"2099-03-02 09:00", "2099-03-02 10:01", true},
		"inside":               {"2099-03-02 10:10", "2099-03-02 10:20", true},
		"around":               {"2099-03-02 09:00", "2099-03-02 11:00", true},
		"over the end":         {"2099-03-02 10:29", "2099-03-02 11:00", true},
		"after":                {"2099-03-02 10:30", "2099-03-02 11:00", false},
		"the day after":        {"2099-03-03 10:00", "2099-03-03 10:30", false},
		"from the day before":  {"2099-03-01 23:00", "2099-03-02 10:10", true},
		"until the day before": {"2099-03-01 23:00", "2099-03-02 00:00", false},
	} {
		rows := durable.NewMemory()
		require.NoError(t, reserve(t.Context(), rows, "dr", hours{Visit: "a", Gen: 1, From: at("2099-03-02 10:00"), To: at("2099-03-02 10:30")}), name)
		err := reserve(t.Context(), rows, "dr", hours{Visit: "b", Gen: 1, From: at(tc.from), To: at(tc.to), Until: later})
		if tc.taken {
			require.ErrorIs(t, err, ErrTaken, name)
			require.ErrorIs(t, err, telemed.ErrConflict, name)
		} else {
			require.NoError(t, err, name)
		}
		require.NoError(t, reserve(t.Context(), rows, "other", hours{Visit: "c", Gen: 1, From: at(tc.from), To: at(tc.to)}), name)
	}
}

func TestHoursLapseAndAreFreed(t *testing.T) {
	t.Parallel()
	rows := durable.NewMemory()
	mine := hours{Visit: "a", Gen: 1, From: at("2099-03-01 23:50"), To: at("2099-03-02 00:20"), Until: time.Now().Add(time.Hour)}
	other := hours{Visit: "b", Gen: 1, From: at("2099-03-02 00:10"), To: at("2099-03-02 00:20"), Until: time.Now().Add(time.Hour)}
	require.NoError(t, reserve(t.Context(), rows, "dr", mine))
	require.NoError(t, reserve(t.Context(), rows, "dr", mine)) // again is the same
	require.ErrorIs(t, reserve(t.Context(), rows, "dr", other), ErrTaken)

	// A move of the same visit is not in its own way.
	moved := mine
	moved.Gen, moved.From = 2, mine.From.Add(5*time.Minute)
	require.NoError(t, reserve(t.Context(), rows, "dr", moved))
	require.NoError(t, free(t.Context(), rows, "dr", "a", slot{1, mine.From}, 30*time.Minute))
	require.ErrorIs(t, reserve(t.Context(), rows, "dr", other), ErrTaken)
	require.NoError(t, free(t.Context(), rows, "dr", "a", slot{2, moved.From}, 30*time.Minute))
	require.NoError(t, reserve(t.Context(), rows, "dr", other))

	lapsed := other
	lapsed.Until = time.Now().Add(-time.Second)
	require.NoError(t, reserve(t.Context(), rows, "dr", lapsed))
	require.NoError(t, reserve(t.Context(), rows, "dr", mine))
	require.ErrorIs(t, reserve(t.Context(), rows, "dr", other), ErrTaken)
}
