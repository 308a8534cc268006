package api

import (
	"slices"

	"github.com/atlhyper/observe/shared/model"
)

// Sections are all that the API shows: those of dashboards and those of Kubernetes.
func Sections() []model.Section { return slices.Concat(dashboardSections(), resourceSections()) }
