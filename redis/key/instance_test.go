package key_test

import (
	"strings"
	"testing"

	"github.com/atlhyper/observe/redis/key"
)

func TestNamesOfThisProcess(t *testing.T) {
	t.Parallel()
	host := key.HostInstance("agent")
	for _, name := range []string{host, key.Unique(host), key.Unique(strings.Repeat("x", key.MaxUnique))} {
		if err := key.ValidateInstance(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if a, b := key.Unique("m"), key.Unique("m"); a == b || !strings.HasPrefix(a, "m-") {
		t.Errorf("two processes are called %q and %q", a, b)
	}
}
