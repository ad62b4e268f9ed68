package cold_test

import (
	"os"
	"testing"

	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }
