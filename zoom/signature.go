package zoom

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// Role is what a signature lets its holder be in a meeting.
type Role int

const (
	// RoleParticipant joins.
	RoleParticipant Role = 0
	// RoleHost starts the meeting, together with the doctor's ZAK. Never give it to a
	// patient.
	RoleHost Role = 1
)

// The bounds that Zoom sets to a signature's life.
const (
	minSignature = 30 * time.Minute
	maxSignature = 48 * time.Hour
	clockSkew    = 30 * time.Second // the browser asks Zoom at once; its clock may be behind ours
)

// SignatureRequest is what an application asks MeetingSignature for.
type SignatureRequest struct {
	// ClientID and ClientSecret are those of an app with the Meeting SDK. Required.
	ClientID     string
	ClientSecret telemed.Secret
	// MeetingID is the ID of a meet.Meeting. Required.
	MeetingID string
	// Role is RoleParticipant unless set: decide it from the session, never from the page's
	// request.
	Role Role
	// ValidFor is 30 minutes to 48 hours. If 0, 2 hours.
	ValidFor time.Duration
}

// MeetingSignature returns the token with which Zoom's Meeting SDK shows a meeting inside
// the application's own page. Make it for somebody whose right to the visit was just
// checked; whoever holds it can join. It makes no network call. An error matches
// telemed.ErrInvalid.
//
// A participant without a Zoom login can join only meetings of the app's own Zoom account
// in this way: Zoom wants more than a signature for those of other accounts, so an
// application whose doctors bring their own gives out the join link. See
// https://developers.zoom.us/docs/meeting-sdk/auth/.
func MeetingSignature(req SignatureRequest) (telemed.Secret, error) {
	if req.ValidFor == 0 {
		req.ValidFor = 2 * time.Hour
	}
	var p fault.Problems
	p.Required("ClientID", req.ClientID)
	p.Check(!req.ClientSecret.IsZero(), "ClientSecret", "is required")
	p.Check(req.MeetingID != "" && isMeetingID(req.MeetingID), "MeetingID", "is not a Zoom meeting's: those are digits")
	p.Check(req.Role == RoleParticipant || req.Role == RoleHost, "Role", "is neither RoleParticipant nor RoleHost")
	p.Check(req.ValidFor >= minSignature && req.ValidFor <= maxSignature, "ValidFor", "is not between 30 minutes and 48 hours")
	if err := p.Err("zoom: MeetingSignature"); err != nil {
		return telemed.Secret{}, err
	}
	begin := time.Now().Add(-clockSkew)
	end := begin.Add(req.ValidFor).Unix()
	payload, err := json.Marshal(signaturePayload{
		AppKey: req.ClientID, Meeting: req.MeetingID, Role: req.Role, IssuedAt: begin.Unix(), Expires: end, TokenExpires: end,
	})
	if err != nil {
		return telemed.Secret{}, err
	}
	return telemed.NewSecret(signJWT(payload, req.ClientSecret)), nil
}

// signaturePayload has Zoom's claims. The older sdkKey is left out: newer SDKs refuse it.
type signaturePayload struct {
	AppKey       string `json:"appKey"`
	Meeting      string `json:"mn"`
	Role         Role   `json:"role"`
	IssuedAt     int64  `json:"iat"`
	Expires      int64  `json:"exp"`
	TokenExpires int64  `json:"tokenExp"`
}

// signJWT returns a JWT (RFC 7519) with HS256.
func signJWT(payload []byte, secret telemed.Secret) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(payload)
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}
