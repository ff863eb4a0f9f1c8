package zoomtest

import "slices"

// knownSetting reports whether Zoom has a setting.
func knownSetting(name string) bool {
	_, limited := settingValues[name]
	return limited || settingKind(name) != ""
}

func settingKind(name string) string {
	for kind, names := range settingKinds {
		if slices.Contains(names, name) {
			return kind
		}
	}
	return ""
}

// settingFits reports whether Zoom takes the value.
func settingFits(name string, value any) bool {
	if values, limited := settingValues[name]; limited {
		return slices.Contains(values, value)
	}
	return kindOf(value) == settingKind(name)
}

func kindOf(value any) string {
	switch value.(type) {
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "number"
}

// settingValues are the values of the settings that have no others. See
// https://developers.zoom.us/docs/api/meetings/#tag/meetings/post/users/{userId}/meetings.
var settingValues = map[string][]any{
	"approval_type":            {0.0, 1.0, 2.0},
	"audio":                    {"both", "telephony", "voip", "thirdParty"},
	"auto_recording":           {"local", "cloud", "none"},
	"calendar_type":            {1.0, 2.0},
	"encryption_type":          {"enhanced_encryption", "e2ee"},
	"jbh_time":                 {0.0, 5.0, 10.0, 15.0},
	"registration_type":        {1.0, 2.0, 3.0},
	"who_can_ask_questions":    {1.0, 2.0, 3.0, 4.0, 5.0},
	"who_will_receive_summary": {1.0, 2.0, 3.0, 4.0},
}

// settingKinds are the other settings.
var settingKinds = map[string][]string{
	"boolean": {
		"allow_host_control_participant_mute_state", "allow_multiple_devices",
		"alternative_host_manage_cloud_recording", "alternative_host_manage_meeting_summary",
		"alternative_host_update_polls", "alternative_hosts_email_notification",
		"auto_start_ai_companion_questions", "auto_start_meeting_summary", "close_registration",
		"cn_meeting", "device_testing", "disable_participant_video", "email_in_attendee_report",
		"email_notification", "enforce_login", "focus_mode", "host_save_video_order", "host_video",
		"in_meeting", "internal_meeting", "join_before_host", "meeting_authentication",
		"mute_upon_entry", "participant_focused_meeting", "participant_video", "private_meeting",
		"push_change_to_calendar", "registrants_confirmation_email",
		"registrants_email_notification", "request_permission_to_unmute_participants",
		"show_join_info", "show_share_button", "use_pmi", "waiting_room", "watermark",
	},
	"string": {
		"alternative_hosts", "audio_conference_info", "authentication_domains",
		"authentication_name", "authentication_option", "contact_email", "contact_name",
		"enforce_login_domains", "summary_template_id",
	},
	"array": {
		"additional_data_center_regions", "authentication_exception", "custom_keys",
		"global_dial_in_countries", "global_dial_in_numbers", "meeting_invitees", "resources",
	},
	"object": {
		"approved_or_denied_countries_or_regions", "auto_add_recording_to_video_management",
		"breakout_room", "continuous_meeting_chat", "language_interpretation", "question_and_answer",
		"sign_language_interpretation", "waiting_room_options",
	},
}
