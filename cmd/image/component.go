package main

// component is what one image is of.
type component struct {
	// binary is its command in cmd/, and its file in the image's root.
	binary string
	// image is the name of the image.
	image string
	// title and description are what registries show.
	title, description string
}

func components() []component {
	return []component{
		{"master", "atlhyper-master", "AtlHyper Observe master", "The web API over the telemetry of many Kubernetes clusters: serves from Redis what their agents put there."},
		{"agent", "atlhyper-agent", "AtlHyper Observe agent", "The agent of one Kubernetes cluster: publishes its dashboards to Redis and answers detail queries."},
		{"atlhyper", "atlhyper", "AtlHyper Observe operator's tool", "Says whether telemetry is complete and what lies in Redis, and prints the rights that agents and masters need there."},
	}
}

// Who runs in the images: nobody who exists on the host, by number, so that Kubernetes
// can tell that it is not root.
const (
	userID = 65532
	user   = "65532:65532"
)
