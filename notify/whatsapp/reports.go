package whatsapp

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

// Reports returns the endpoint that tells report what Meta says of messages: it is a
// [Webhook] with Config.WebhookSecrets, VerifyToken and Logger. Register its address at
// Meta under the field "messages". End it by its Shutdown.
//
//	mux.Handle("/webhooks/whatsapp", chat.Reports(visits.Report))
//
// report is called
//
//   - for the statuses sent, delivered, read (and played, which is read too) and failed,
//     with the Reference that Notify gave, if it was a message of this package;
//   - for a person who wants no more messages, as notify.ReportStopped, with Address; see
//     [MeansStop]. ID is then of the message that was answered, if Meta says which one;
//   - for a person whose number or user id has changed, as notify.ReportMoved, with Address
//     and NewAddress.
//
// Everything else is left alone. So is Meta's user_preferences: it is about marketing,
// which Meta then holds back by itself, and a reminder of a visit is none. A message that
// Meta holds back so, with code 131050, has failed, and is no ReportStopped either.
//
// An error of report is answered 500, and Meta repeats for up to 7 days; [Permanent] ends
// that. Reports come twice where several processes have the endpoint, late and in any
// order. One endpoint is enough for all numbers of an app.
//
// Without WebhookSecrets, or with a nil report, a warning is logged at once. Everything is
// then refused: events with 503, so that Meta has them again once there is a secret, and
// the registration with 403.
//
// Applications that want messages, other changes or what cannot be read use [NewWebhook].
func (c *Client) Reports(report func(ctx context.Context, r notify.Report) error) *Webhook {
	ready := report != nil && len(c.cfg.WebhookSecrets) > 0
	cfg := WebhookConfig{Secrets: c.cfg.WebhookSecrets, VerifyToken: c.cfg.VerifyToken, Logger: c.cfg.Logger}
	cfg.Handle = func(ctx context.Context, e Event) error {
		if r := e.report(); r != nil {
			return report(ctx, *r)
		}
		return nil
	}
	if ready {
		return newWebhook(cfg)
	}
	c.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, "whatsapp reports are refused: nothing is set up to take them",
		slog.Bool("webhook_secrets", len(c.cfg.WebhookSecrets) > 0), slog.Bool("report", report != nil))
	cfg.VerifyToken = telemed.Secret{}
	w := newWebhook(cfg)
	_ = w.Shutdown(context.Background()) // nothing runs in it: this closes it and does not wait
	return w
}

// report returns what e tells of a message or a recipient, or nil.
func (e Event) report() *notify.Report {
	switch {
	case e.Status != nil:
		return e.Status.report()
	case e.Message != nil && e.Message.stops():
		m := e.Message
		r := &notify.Report{Channel: notify.WhatsApp, State: notify.ReportStopped, ID: m.InReplyTo, At: m.At, Address: first(m.Phone, m.UserID)}
		if m.Phone != "" {
			r.KnownAs = given(m.UserID)
		}
		return r
	case e.Message != nil:
		return e.Message.moved()
	}
	return nil
}

// moved returns the report of a person who has another number or user id, or nil.
func (m *Inbound) moved() *notify.Report {
	r := &notify.Report{Channel: notify.WhatsApp, State: notify.ReportMoved, At: m.At}
	switch {
	case m.NewPhone != "" && m.Phone != "" && m.NewPhone != m.Phone:
		r.Address, r.NewAddress, r.KnownAs = m.Phone, m.NewPhone, given(first(m.NewUserID, m.UserID))
	case m.NewUserID != "" && m.UserID != "" && m.NewUserID != m.UserID:
		r.Address, r.NewAddress, r.KnownAs = m.UserID, m.NewUserID, given(first(m.NewPhone, m.Phone))
	default:
		return nil
	}
	return r
}

// given returns the texts that are not empty, nil if there are none.
func given(texts ...string) (all []string) {
	for _, text := range texts {
		if text != "" {
			all = append(all, text)
		}
	}
	return all
}

// reportStates are the states that a sender learns something from.
var reportStates = map[State]notify.ReportState{
	Sent: notify.ReportSent, Delivered: notify.ReportDelivered, Read: notify.ReportRead, Played: notify.ReportRead,
	Failed: notify.ReportFailed,
}

// referencePattern is the form of notify.Reference. Others send messages from the same
// number, with data of their own.
var referencePattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (s *Status) report() *notify.Report {
	state, known := reportStates[s.State]
	if !known {
		return nil
	}
	r := &notify.Report{Channel: notify.WhatsApp, ID: s.MessageID, State: state, At: s.At, KnownAs: given(s.Phone, s.UserID)}
	r.Reference = referencePattern.FindString(s.Reference)
	if s.Err != nil {
		r.Err = s.Err
	}
	return r
}

// stops reports whether the sender asks for no more messages, in words or by a button.
// Captions and reactions are about something else.
func (m *Inbound) stops() bool {
	switch m.Type {
	case "text":
		return MeansStop(m.Text)
	case "button", "interactive":
		return MeansStop(m.Text) || MeansStop(m.ReplyID)
	}
	return false
}

// stopWords are whole messages. "Stop promotions" is the button that Meta adds to
// marketing templates. "Cancel", "end", "quit" and "no" are missing on purpose: a patient who
// answers so means the appointment.
var stopWords = []string{
	"stop", "stop all", "stopall", "stop messages", "stop promotions", "unsubscribe", "opt out", "opt-out", "optout",
	"बंद", "बंद करो", "बंद करें", "बंद कर दो", "बंद कीजिए", "रोको", "रोकें", "मत भेजो", "मत भेजें", "स्टॉप",
	"band karo", "band karen", "band kare",
	"বন্ধ", "বন্ধ করুন", "বন্ধ করো", "থামুন", "থামাও", "থামান", "স্টপ",
	"बंद करा", "थांबा", "थांबवा", "थांबव",
	"நிறுத்து", "நிறுத்தவும்", "நிறுத்துங்கள்", "ஸ்டாப்",
	"ఆపు", "ఆపండి", "ఆపివేయండి", "నిలిపివేయండి", "స్టాప్",
}

// MeansStop reports whether a message or the label of a button asks for no more messages.
// It is one of these, and nothing else beside it:
//
//   - stop, stop all, stopall, stop messages, stop promotions, unsubscribe, opt out,
//     opt-out, optout;
//   - बंद, बंद करो, बंद करें, बंद कर दो, बंद कीजिए, रोको, रोकें, मत भेजो, मत भेजें, स्टॉप;
//   - band karo, band karen, band kare;
//   - বন্ধ, বন্ধ করুন, বন্ধ করো, থামুন, থামাও, থামান, স্টপ;
//   - बंद करा, थांबा, थांबवा, थांबव;
//   - நிறுத்து, நிறுத்தவும், நிறுத்துங்கள், ஸ்டாப்;
//   - ఆపు, ఆపండి, ఆపివేయండి, నిలిపివేయండి, స్టాప్.
//
// Case, spaces, and marks such as a full stop around it do not count. A sentence that has
// one of the words in it is not a stop: "please don't stop".
func MeansStop(text string) bool {
	if len(text) > 200 {
		return false
	}
	text = strings.Map(func(r rune) rune {
		if r == '\u200b' || r == '\u200c' || r == '\u200d' || r == '\ufeff' { // no width
			return -1
		}
		return r
	}, text)
	text = strings.Trim(strings.ToLower(text), " \t\r\n\u00a0.,;:!?…।\"'“”‘’*_~()[]#-")
	text = strings.ReplaceAll(text, "न्द", "ंद") // two spellings of the same word
	return slices.Contains(stopWords, strings.Join(strings.Fields(text), " "))
}
