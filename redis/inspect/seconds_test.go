package inspect

import (
	"encoding/json"
	"testing"
	"time"
)

// People read them: no digits of a float64's making.
func TestSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		19*time.Second + 923*time.Millisecond:  "19.923",
		-19*time.Second - 923*time.Millisecond: "-19.923",
		353_499 * time.Microsecond:             "0.353",
		353_500 * time.Microsecond:             "0.354",
		0:                                      "0",
	} {
		got, err := json.Marshal(seconds(d))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", d, got, err, want)
		}
	}
}
