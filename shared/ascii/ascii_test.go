package ascii_test

import (
	"testing"

	"github.com/atlhyper/observe/shared/ascii"
)

func TestIndexOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s, others string
		want      int
	}{
		{"", "", -1},
		{"azAZ09", "", -1},
		{"a-b", "-_", -1},
		{"a-b", "", 1},
		{"ab ", "-", 2},
		{"é", "é", -1}, // by bytes
		{"aé", "-", 1},
		{"\x00", "-", 0},
		{"@", "", 0}, {"[", "", 0}, {"`", "", 0}, {"{", "", 0}, {"/", "", 0}, {":", "", 0}, // beside the ranges
	} {
		if got := ascii.IndexOther(c.s, c.others); got != c.want {
			t.Errorf("IndexOther(%q, %q) = %d, want %d", c.s, c.others, got, c.want)
		}
	}
}
