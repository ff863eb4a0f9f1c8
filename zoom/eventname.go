package zoom

import "github.com/telemed-go/telemed/internal/fault"

// The events that a visit is made of. Zoom has many more:
// https://developers.zoom.us/docs/api/meetings/events/.
const (
	EventMeetingCreated = "meeting.created"
	EventMeetingUpdated = "meeting.updated"
	EventMeetingDeleted = "meeting.deleted"
	EventMeetingStarted = "meeting.started"
	EventMeetingEnded   = "meeting.ended"
)

// Somebody waits before the doctor has started the meeting, leaves, or comes in when it
// begins. "jbh" is Zoom's "join before host".
const (
	EventJBHWaiting = "meeting.participant_jbh_waiting"
	EventJBHLeft    = "meeting.participant_jbh_waiting_left"
	EventJBHJoined  = "meeting.participant_jbh_joined"
)

// Somebody is in the waiting room of a meeting that goes on, or is let into the meeting.
const (
	EventWaitingRoomJoined   = "meeting.participant_joined_waiting_room"
	EventWaitingRoomLeft     = "meeting.participant_left_waiting_room"
	EventWaitingRoomReturned = "meeting.participant_put_in_waiting_room"
	EventAdmitted            = "meeting.participant_admitted"
	EventParticipantJoined   = "meeting.participant_joined"
	EventParticipantLeft     = "meeting.participant_left"
)

// A recording of a consultation exists, or does no longer.
const (
	EventRecordingStarted    = "recording.started"
	EventRecordingPaused     = "recording.paused"
	EventRecordingResumed    = "recording.resumed"
	EventRecordingStopped    = "recording.stopped"
	EventRecordingCompleted  = "recording.completed"
	EventRecordingTranscript = "recording.transcript_completed"
	EventRecordingTrashed    = "recording.trashed"
	EventRecordingRecovered  = "recording.recovered"
	EventRecordingDeleted    = "recording.deleted"
)

// A summary of a consultation exists, written by Zoom's AI, or does no longer.
const (
	EventSummaryCompleted = "meeting.summary_completed"
	EventSummaryUpdated   = "meeting.summary_updated"
	EventSummaryShared    = "meeting.summary_shared"
	EventSummaryTrashed   = "meeting.summary_trashed"
	EventSummaryRecovered = "meeting.summary_recovered"
	EventSummaryDeleted   = "meeting.summary_deleted"
)

const (
	// EventAppDeauthorized means that a doctor has removed the app in Zoom: pass it to
	// Client.Deauthorized.
	EventAppDeauthorized = "app_deauthorized"
	eventValidation      = "endpoint.url_validation"
)

// eventWords are names of events that are logged. What else Zoom writes there is not ours
// to print. https://developers.zoom.us/docs/api/meetings/events/
var eventWords = fault.NewWords(
	EventMeetingCreated, EventMeetingUpdated, EventMeetingDeleted, EventMeetingStarted, EventMeetingEnded,
	EventJBHWaiting, EventJBHLeft, EventJBHJoined,
	EventWaitingRoomJoined, EventWaitingRoomLeft, EventWaitingRoomReturned,
	EventAdmitted, EventParticipantJoined, EventParticipantLeft,
	EventRecordingStarted, EventRecordingPaused, EventRecordingResumed, EventRecordingStopped, EventRecordingCompleted,
	EventRecordingTranscript, EventRecordingTrashed, EventRecordingRecovered, EventRecordingDeleted,
	EventSummaryCompleted, EventSummaryUpdated, EventSummaryShared, EventSummaryTrashed, EventSummaryRecovered,
	EventSummaryDeleted, EventAppDeauthorized, eventValidation,
	"meeting.permanently_deleted meeting.recovered meeting.alert meeting.sharing_started meeting.sharing_ended",
	"user.updated user.deactivated user.deleted",
)
