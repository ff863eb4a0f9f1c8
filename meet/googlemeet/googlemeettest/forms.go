package googlemeettest

import "math"

// The forms of what is sent and answered. A value that is listed only in the prose of
// https://developers.google.com/workspace/calendar/api/v3/reference/events is here too.
var (
	timeForm = properties(map[string]*schema{"date": text(), "dateTime": text(), "timeZone": text()})

	personForm = properties(map[string]*schema{"id": text(), "email": text(), "displayName": text(), "self": flag})

	attendeeForm = properties(map[string]*schema{
		"id": text(), "email": text(), "displayName": text(), "self": flag, "organizer": flag, "resource": flag,
		"optional": flag, "comment": text(), "additionalGuests": number(0, 1000), "asyncOperation": text(),
		"responseStatus": text("needsAction", "declined", "tentative", "accepted"),
	})

	reminderForm = properties(map[string]*schema{"method": text("email", "popup"), "minutes": number(0, 40320)})

	solutionKeyForm = properties(map[string]*schema{"type": text()})

	entryPointForm = properties(map[string]*schema{
		"entryPointType": text("video", "phone", "sip", "more"), "uri": text(), "label": text(), "pin": text(),
		"accessCode": text(), "meetingCode": text(), "passcode": text(), "password": text(), "regionCode": text(),
		"entryPointFeatures": listOf(text()),
	})

	conferenceForm = properties(map[string]*schema{
		"createRequest": properties(map[string]*schema{
			"requestId": text(), "conferenceSolutionKey": solutionKeyForm,
			"status": properties(map[string]*schema{"statusCode": text()}),
		}),
		"entryPoints":        listOf(entryPointForm),
		"conferenceSolution": properties(map[string]*schema{"key": solutionKeyForm, "name": text(), "iconUri": text()}),
		"conferenceId":       text(), "signature": text(), "notes": text(),
		"parameters": properties(map[string]*schema{"addOnParameters": properties(map[string]*schema{"parameters": texts})}),
	})

	// placeForm is the doctor's place of work, by which nothing here is decided.
	placeForm = properties(map[string]*schema{
		"type": text("homeOffice", "officeLocation", "customLocation"), "homeOffice": nothing,
		"customLocation": properties(map[string]*schema{"label": text()}),
		"officeLocation": properties(map[string]*schema{
			"buildingId": text(), "floorId": text(), "floorSectionId": text(), "deskId": text(), "label": text(),
		}),
	})

	awayForm = properties(map[string]*schema{
		"autoDeclineMode": text("declineNone", "declineAllConflictingInvitations", "declineOnlyNewConflictingInvitations"),
		"declineMessage":  text(),
	})

	eventForm = properties(map[string]*schema{
		"kind": text(), "etag": text(), "id": text(), "htmlLink": text(), "hangoutLink": text(), "created": text(), "updated": text(),
		"status": text("confirmed", "tentative", "cancelled"), "summary": text(), "description": text(), "location": text(),
		"colorId": text("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"), "creator": personForm, "organizer": personForm,
		"start": timeForm, "end": timeForm, "endTimeUnspecified": flag, "recurrence": listOf(text()), "recurringEventId": text(),
		"originalStartTime": timeForm, "transparency": text("opaque", "transparent"), "iCalUID": text(), "sequence": integer,
		"visibility": text("default", "public", "private", "confidential"), "attendees": listOf(attendeeForm), "attendeesOmitted": flag,
		"extendedProperties": properties(map[string]*schema{"private": texts, "shared": texts}), "conferenceData": conferenceForm,
		"anyoneCanAddSelf": flag, "guestsCanInviteOthers": flag, "guestsCanModify": flag, "guestsCanSeeOtherGuests": flag,
		"privateCopy": flag, "locked": flag, "reminders": properties(map[string]*schema{"useDefault": flag, "overrides": listOf(reminderForm)}),
		"source": properties(map[string]*schema{"url": text(), "title": text()}),
		"attachments": listOf(properties(map[string]*schema{
			"fileUrl": text(), "title": text(), "mimeType": text(), "iconLink": text(), "fileId": text(),
		})),
		"birthdayProperties": properties(map[string]*schema{
			"contact": text(), "customTypeName": text(), "type": text("anniversary", "birthday", "custom", "other", "self"),
		}),
		"gadget": properties(map[string]*schema{
			"type": text(), "title": text(), "link": text(), "iconLink": text(), "width": number(1, math.MaxInt32),
			"height": number(1, math.MaxInt32), "display": text("icon", "chip"), "preferences": texts,
		}),
		"eventLabelId":              text(),
		"eventType":                 text("default", "outOfOffice", "focusTime", "workingLocation", "birthday", "fromGmail"),
		"workingLocationProperties": placeForm, "outOfOfficeProperties": awayForm,
		"focusTimeProperties": properties(map[string]*schema{
			"autoDeclineMode": awayForm.properties["autoDeclineMode"], "declineMessage": text(), "chatStatus": text("available", "doNotDisturb"),
		}),
	})

	eventsForm = properties(map[string]*schema{
		"kind": text(), "etag": text(), "summary": text(), "description": text(), "updated": text(), "timeZone": text(),
		"accessRole": text(), "defaultReminders": listOf(reminderForm), "nextPageToken": text(), "nextSyncToken": text(),
		"items": listOf(eventForm),
	})

	calendarForm = properties(map[string]*schema{
		"kind": text(), "etag": text(), "id": text(), "summary": text(), "description": text(), "location": text(), "timeZone": text(),
		"dataOwner": text(), "autoAcceptInvitations": flag,
		"labelProperties": properties(map[string]*schema{"eventLabels": listOf(properties(map[string]*schema{
			"id": text(), "name": text(), "backgroundColor": text(),
		}))}),
		"conferenceProperties": properties(map[string]*schema{"allowedConferenceSolutionTypes": listOf(text())}),
	})

	entryForm = properties(map[string]*schema{
		"kind": text(), "etag": text(), "id": text(), "summary": text(), "description": text(), "location": text(), "timeZone": text(),
		"dataOwner": text(), "conferenceProperties": calendarForm.properties["conferenceProperties"], "accessRole": text(),
		"primary": flag, "selected": flag, "hidden": flag, "deleted": flag, "colorId": text(), "backgroundColor": text(),
		"foregroundColor": text(), "summaryOverride": text(), "defaultReminders": listOf(reminderForm), "autoAcceptInvitations": flag,
		"notificationSettings": properties(map[string]*schema{"notifications": listOf(properties(map[string]*schema{
			"type": text(), "method": text(),
		}))}),
	})

	entriesForm = properties(map[string]*schema{
		"kind": text(), "etag": text(), "nextPageToken": text(), "nextSyncToken": text(), "items": listOf(entryForm),
	})

	channelForm = properties(map[string]*schema{
		"kind": text(), "id": text(), "type": text("web_hook", "webhook"), "address": text(), "token": text(), "payload": flag,
		"expiration": integer, "params": texts, "resourceId": text(), "resourceUri": text(),
	})

	freeBusyForm = properties(map[string]*schema{
		"timeMin": text(), "timeMax": text(), "timeZone": text(), "groupExpansionMax": number(1, 100),
		"calendarExpansionMax": number(1, 50), "items": listOf(properties(map[string]*schema{"id": text()})),
	})

	periodForm = listOf(properties(map[string]*schema{"start": text(), "end": text()}))

	errorsForm = listOf(properties(map[string]*schema{"domain": text(), "reason": text()}))

	busyForm = properties(map[string]*schema{
		"kind": text(), "timeMin": text(), "timeMax": text(),
		"groups":    {kind: "object", any: properties(map[string]*schema{"calendars": listOf(text()), "errors": errorsForm})},
		"calendars": {kind: "object", any: properties(map[string]*schema{"busy": periodForm, "errors": errorsForm})},
	})
)
