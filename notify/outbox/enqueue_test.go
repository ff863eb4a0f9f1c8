package outbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/store/durable"
)

// nowhere is a channel that is never asked.
var nowhere = notify.NotifierFunc(func(context.Context, notify.Message) (*notify.Receipt, error) {
	return nil, errors.New("nowhere")
})

// desk is an Outbox that nobody runs.
func desk(t *testing.T, change ...func(cfg *outbox.Config)) (*outbox.Outbox, *durable.Memory) {
	t.Helper()
	rows := durable.NewMemory()
	cfg := outbox.Config{Store: rows, Channels: map[notify.Channel]notify.Notifier{notify.WhatsApp: nowhere, notify.Email: nowhere}}
	for _, c := range change {
		c(&cfg)
	}
	box, err := outbox.New(cfg)
	require.NoError(t, err)
	return box, rows
}

func fields(err error) (names []string) {
	for _, f := range telemed.Fields(err) {
		names = append(names, f.Field)
	}
	return names
}

func TestNewNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := outbox.New(outbox.Config{})
	require.Equal(t, []string{"Store", "Channels"}, fields(err))
	_, err = outbox.New(outbox.Config{
		Store: durable.NewMemory(), Channels: map[notify.Channel]notify.Notifier{"E-mail": nowhere, notify.Email: nil},
		Evidence: map[notify.Channel]notify.Evidence{notify.WhatsApp: nil, notify.Email: &events{}}, EvidenceWait: 30 * time.Second,
		Kind: outbox.PauseKind, Spacing: -1, Quiet: outbox.Quiet{From: time.Second}, Keep: -1,
	})
	require.Equal(t, []string{
		"Kind", "Channels", "Channels[email]", "Evidence[email]", "Evidence[whatsapp]", "Evidence[whatsapp]", "EvidenceWait", "Spacing", "Quiet", "Keep",
	}, fields(err))
	_, err = outbox.New(outbox.Config{Store: durable.NewMemory(), Channels: map[notify.Channel]notify.Notifier{notify.Email: nowhere}, LeaseTTL: -1, Quiet: outbox.Quiet{Until: 24 * time.Hour}})
	require.Equal(t, []string{"LeaseTTL", "Quiet"}, fields(err))
}

// TestEnqueueNamesAllThatIsWrong: before anything is written, and without a value.
func TestEnqueueNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	box, rows := desk(t)
	set := func(change func(m *outbox.Message)) outbox.Message { return message("k", change) }
	for name, test := range map[string]struct {
		m    outbox.Message
		want []string
	}{
		"all missing":       {outbox.Message{}, []string{"Key", "Channels", "Template"}},
		"key":               {set(func(m *outbox.Message) { m.Key = "Asha Rao" }), []string{"Key"}},
		"long key":          {set(func(m *outbox.Message) { m.Key = strings.Repeat("k", 101) }), []string{"Key"}},
		"group":             {set(func(m *outbox.Message) { m.Group = strings.Repeat("g", 256) }), []string{"Group"}},
		"control":           {set(func(m *outbox.Message) { m.Group = "a\nb" }), []string{"Group"}},
		"tenant":            {set(func(m *outbox.Message) { m.Tenant = strings.Repeat("g", 129) }), []string{"Tenant"}},
		"generation":        {set(func(m *outbox.Message) { m.Generation = -1 }), []string{"Generation"}},
		"category":          {set(func(m *outbox.Message) { m.Category = "promotion" }), []string{"Category"}},
		"channel":           {set(func(m *outbox.Message) { m.Channels = []notify.Channel{"pager", notify.Email, notify.Email} }), []string{"Channels[0]", "Channels[2]"}},
		"times":             {set(func(m *outbox.Message) { m.NotBefore, m.NotAfter = time.Now().Add(time.Hour), time.Now() }), []string{"NotAfter"}},
		"far away":          {set(func(m *outbox.Message) { m.NotAfter = time.Now().Add(11 * 365 * 24 * time.Hour) }), []string{"NotAfter"}},
		"long ago":          {set(func(m *outbox.Message) { m.Latest = time.Unix(0, 0) }), []string{"Latest"}},
		"zone":              {set(func(m *outbox.Message) { m.Zone = "Asia/Nowhere" }), []string{"Zone"}},
		"path as zone":      {set(func(m *outbox.Message) { m.Zone = "../../etc/passwd" }), []string{"Zone"}},
		"this machine's":    {set(func(m *outbox.Message) { m.Zone = "Local" }), []string{"Zone"}},
		"zone of recipient": {set(func(m *outbox.Message) { m.To.Zone = time.UTC }), []string{"To.Zone"}},
		"series":            {set(func(m *outbox.Message) { m.Series = strings.Repeat("s", 101) }), []string{"Series"}},
		"data":              {set(func(m *outbox.Message) { m.Data = []byte("{") }), []string{"Data"}},
		"content":           {set(func(m *outbox.Message) { m.Content.HTML = strings.Repeat("x", 130<<10) }), []string{"Content"}},
		"no address at all": {set(func(m *outbox.Message) { m.To = notify.Recipient{} }), []string{"To.Phone"}},
		"wrong everywhere":  {set(func(m *outbox.Message) { m.To.Phone, m.To.Email = "98765", "asha" }), []string{"To.Phone"}},
		"no words":          {set(func(m *outbox.Message) { m.Content = &notify.Content{} }), []string{"Content.WhatsApp"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := box.Enqueue(t.Context(), test.m)
			require.ErrorIs(t, err, telemed.ErrInvalid)
			require.Equal(t, test.want, fields(err))
			for _, value := range []string{"Asha", "pager", "promotion", "passwd", "98765"} {
				require.NotContains(t, err.Error(), value)
			}
			var second []string
			for _, f := range test.want {
				second = append(second, "Messages[1]."+f)
			}
			require.Equal(t, second, fields(box.Enqueue(t.Context(), message("fine"), test.m)))
		})
	}
	t.Cleanup(func() {
		for item := range rows.List(context.Background(), durable.Filter{}) {
			require.Fail(t, "written", item.ID)
		}
	})
}

func TestEnqueueAgain(t *testing.T) {
	t.Parallel()
	box, rows := desk(t)
	ctx := t.Context()
	require.NoError(t, box.Enqueue(ctx))
	alone := message("otp", func(m *outbox.Message) { m.Group = "" })
	require.NoError(t, box.Enqueue(ctx, message("a"), message("b"), alone))
	before, err := rows.Get(ctx, durable.ID{Kind: outbox.RowKind, Name: group})
	require.NoError(t, err)
	require.NoError(t, box.Enqueue(ctx, message("b"), message("a"), alone))
	after, err := rows.Get(ctx, before.ID)
	require.NoError(t, err)
	require.Equal(t, before.Revision, after.Revision, "nothing was written")
	for name, change := range map[string]func(*outbox.Message){
		"words":      func(m *outbox.Message) { m.Content.Text += "!" },
		"recipient":  func(m *outbox.Message) { m.To.Email = "other@example.org" },
		"time":       func(m *outbox.Message) { m.NotBefore = time.Now() },
		"generation": func(m *outbox.Message) { m.Generation = 2 },
		"channels":   byMail,
		"tenant":     func(m *outbox.Message) { m.Tenant = "other" },
	} {
		require.ErrorIs(t, box.Enqueue(ctx, message("new"), message("a", change)), telemed.ErrConflict, name)
	}
	all, err := box.Get(ctx, group)
	require.NoError(t, err)
	require.Len(t, all, 2, "all of a group or nothing")
	all, err = box.Get(ctx, "otp")
	require.NoError(t, err)
	require.Equal(t, []any{1, "otp", outbox.Due, outbox.Notice}, []any{len(all), all[0].Key, all[0].State, all[0].Category})
	_, err = box.Get(ctx, "nothing")
	require.ErrorIs(t, err, telemed.ErrNotFound)
	require.ErrorIs(t, box.Drop(ctx, "", 1), telemed.ErrInvalid)
}

func TestAFullGroup(t *testing.T) {
	t.Parallel()
	box, rows := desk(t)
	var err error
	n := 0
	for ; err == nil; n++ {
		err = box.Enqueue(t.Context(), message(strings.Repeat("k", n+1), func(m *outbox.Message) { m.Content.HTML = strings.Repeat("x", 30<<10) }))
	}
	require.Equal(t, []string{"Group"}, fields(err))
	require.Equal(t, 8, n)
	item, err := rows.Get(t.Context(), durable.ID{Kind: outbox.RowKind, Name: group})
	require.NoError(t, err)
	require.LessOrEqual(t, len(item.Data), durable.MaxData*9/10)
	require.Greater(t, len(item.Data), durable.MaxData*3/4)
}

// TestTheTrailFits: whatever the keys, the readable part of a row has room.
func TestTheTrailFits(t *testing.T) {
	t.Parallel()
	box, rows := desk(t, func(cfg *outbox.Config) {
		cfg.Compose = func(context.Context, outbox.Message) (m notify.Message, err error) { return m, err }
	})
	var all []outbox.Message
	for n := range 210 {
		key := strings.Repeat("k", 97) + string([]byte{'a' + byte(n/100), 'a' + byte(n/10%10), 'a' + byte(n%10)})
		all = append(all, outbox.Message{Group: group, Key: key, Channels: []notify.Channel{notify.Email}})
	}
	require.NoError(t, box.Enqueue(t.Context(), all...))
	item, err := rows.Get(t.Context(), durable.ID{Kind: outbox.RowKind, Name: group})
	require.NoError(t, err)
	require.Less(t, len(item.Audit), durable.MaxAudit)
}

func TestReportsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	box, rows := desk(t)
	ctx := t.Context()
	require.Equal(t, []string{"Channel", "State"}, fields(box.Report(ctx, notify.Report{})))
	for _, ref := range []string{"", "their data", "../x", notify.Reference("visit-42/unknown")} {
		require.NoError(t, box.Report(ctx, notify.Report{Channel: notify.WhatsApp, State: notify.ReportFailed, Reference: ref}))
	}
	for item := range rows.List(ctx, durable.Filter{}) {
		require.Fail(t, "written", item.ID)
	}
	// One that is ours and cannot be kept is repeated.
	require.NoError(t, box.Enqueue(ctx, message("confirmed", byMail)))
	_, err := box.Runner().Step(ctx, durable.ID{Kind: outbox.RowKind, Name: group})
	require.NoError(t, err)
	down := errors.New("down")
	full, _ := desk(t, func(cfg *outbox.Config) { cfg.Store = &readOnly{rows, down} })
	report := notify.Report{Channel: notify.Email, State: notify.ReportRead, Reference: notify.Reference("visit-42/confirmed")}
	require.ErrorIs(t, full.Report(ctx, report), down)
	require.NoError(t, box.Report(ctx, report))
	all, err := box.Get(ctx, group)
	require.NoError(t, err)
	require.Equal(t, outbox.Delivered, all[0].State)
	box, _ = desk(t, func(cfg *outbox.Config) { cfg.Store = broken{cfg.Store, down} })
	report.Reference = notify.Reference("visit-42/unknown")
	require.ErrorIs(t, box.Report(ctx, report), down)
	report.State, report.Address = notify.ReportStopped, phone
	require.ErrorIs(t, box.Report(ctx, report), down)
}

// broken is a Store that is away.
type broken struct {
	durable.Store
	err error
}

// readOnly is a Store that takes nothing.
type readOnly struct {
	*durable.Memory
	err error
}

func (r *readOnly) Put(context.Context, durable.Item) (string, error) { return "", r.err }

func (b broken) Get(context.Context, durable.ID) (durable.Item, error) { return durable.Item{}, b.err }
