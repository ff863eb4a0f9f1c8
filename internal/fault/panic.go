package fault

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
)

// LogPanic tells log where a panic came from that was recovered, and slog.Default if log is
// nil. message says what became of it. The text of a panic may be about a patient: only its
// type is told, save for the runtime's own. That log panics, too, is nobody's error.
func LogPanic(log *slog.Logger, message string, cause any) {
	defer func() { _ = recover() }()
	if log == nil {
		log = slog.Default()
	}
	text := fmt.Sprintf("%T", cause)
	if own, ok := cause.(runtime.Error); ok {
		text = own.Error()
	}
	log.Error(message, "panic", text, "stack", string(debug.Stack()))
}
