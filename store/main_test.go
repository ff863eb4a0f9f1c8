package store_test

import (
	"testing"

	"github.com/telemed-go/telemed/internal/faultytest"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var doctor = store.AccountID{Provider: "zoom", Subject: "dr-rao"}

var errDown = faultytest.ErrDown

func down(string) error { return errDown }
