package api

import "github.com/go-chi/chi/v5"

// Routes are those that the API serves, for tests that walk them.
func (a *API) Routes() chi.Routes { return a.router }

// SectionTypes and DetailTypes are what the description says that answers hold.
var (
	SectionTypes = sectionTypes
	DetailTypes  = detailTypes
)
