package outbox

import "errors"

// ErrUntrue is what Config.Compose returns if a message is not true any more. It is dropped.
var ErrUntrue = errors.New("not true any more")
