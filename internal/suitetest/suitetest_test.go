package suitetest_test

import (
	"testing"

	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/internal/suitetest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// suite is a conformance suite for numbers.
func suite(t *testing.T, n int) {
	t.Run("is even", func(t *testing.T) {
		if n%2 != 0 {
			t.Error("odd")
		}
	})
	t.Run("is small", func(t *testing.T) {
		if n > 9 {
			t.Error("large")
		}
	})
}

var broken = map[string]int{"odd": 1, "large": 10}

func TestBroken(t *testing.T) { suite(t, broken[suitetest.Broken(t)]) }

func TestFinds(t *testing.T) {
	t.Parallel()
	suite(t, 2)
	suitetest.Finds(t, map[string]string{"odd": "is even", "large": "is small"})
}
