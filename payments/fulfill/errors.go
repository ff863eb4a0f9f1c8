package fulfill

import (
	"errors"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// ErrGone is what Config.Fulfill returns if what was paid for cannot be had any more: the
// slot was given away. The money then buys nothing. It is also telemed.ErrConflict.
var ErrGone = fault.Tagged(telemed.ErrConflict, errors.New("what was paid for is gone"))
