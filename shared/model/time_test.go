package model_test

import (
	"testing"
	"time"

	"github.com/atlhyper/observe/shared/model"
)

func TestTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 4, 5, 6, 789, time.FixedZone("CET", 3600))
	got := model.NewTime(at)
	if got != "2026-11-23T03:05:06.000000789Z" {
		t.Errorf("NewTime = %s, want UTC with nanoseconds", got)
	}
	back, err := got.Parse()
	if err != nil || !back.Equal(at) {
		t.Errorf("Parse = %v, %v", back, err)
	}
	if model.NewTime(time.Time{}) != "" {
		t.Error("the zero time is not empty")
	}
	if _, err := model.Time("yesterday").Parse(); err == nil {
		t.Error("Parse took nonsense")
	}
}
