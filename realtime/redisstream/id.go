package redisstream

import (
	"strconv"
	"strings"
	"time"
)

// id is the id of an entry: the server's clock in milliseconds, and a number within.
type id struct{ ms, seq uint64 }

func (a id) before(b id) bool { return a.ms < b.ms || a.ms == b.ms && a.seq < b.seq }

func (a id) String() string {
	return strconv.FormatUint(a.ms, 10) + "-" + strconv.FormatUint(a.seq, 10)
}

// time is when Redis appended the entry.
func (a id) time() time.Time { return time.UnixMilli(int64(min(a.ms, 1<<52))) }

// parseID takes an id as Redis writes it, and no other spelling.
func parseID(text string) (a id, ok bool) {
	ms, seq, _ := strings.Cut(text, "-")
	var err1, err2 error
	a.ms, err1 = strconv.ParseUint(ms, 10, 64)
	a.seq, err2 = strconv.ParseUint(seq, 10, 64)
	return a, err1 == nil && err2 == nil && a.String() == text
}
