package googlemeettest

import (
	"net/http"
	"regexp"
	"strings"
)

// absent are methods that Google has and the fake does not.
var absent = regexp.MustCompile(`^/(colors|calendars|calendars/[^/]+(/clear|/transferOwnership|/acl(/.+)?)?|` +
	`calendars/[^/]+/events/(import|[^/]+/move)|users/me/(settings|calendarList)(/.+)?)$`)

// unknown answers for what the fake does not have, and says so where Google would not.
func unknown(in *incoming) reply {
	path, isAPI := strings.CutPrefix(in.URL.EscapedPath(), apiPath)
	if isAPI && absent.MatchString(path) {
		return apiError(http.StatusNotImplemented, "notImplemented", "googlemeettest does not have "+in.Method+" "+path)
	}
	return notFound()
}
