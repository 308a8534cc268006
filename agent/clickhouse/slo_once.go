package clickhouse

// sighted is an increment and what it counts.
type sighted struct {
	increment
	proxy *proxy
	// part is that of a duration's name after the histogram's own: "" but for what
	// federation took apart.
	part string
	seen sighting
}

// requests tells whether it counts requests; else it is of their durations.
func (s *sighted) requests() bool { return s.metric == s.proxy.requests }

// classic tells whether it is a whole histogram with bounds.
func (s *sighted) classic() bool { return !s.requests() && s.part == "" && s.observed == nil }

// trafficKey is what series of a proxy count that tell of the same requests.
type trafficKey struct {
	requests string // of the proxy; "" of durations
	duration string // of the proxy; "" of requests
	sighting sighting
}

func (s *sighted) key() trafficKey {
	if s.requests() {
		return trafficKey{requests: s.proxy.requests, sighting: s.seen}
	}
	return trafficKey{duration: s.proxy.duration, sighting: s.seen}
}

// sources are what came of requests that may come twice: scraped from the proxy
// and through federation, or in both kinds of histograms.
type sources struct {
	// pods are those that what is counted came natively from; "" is one that is
	// not named.
	pods map[trafficKey]map[string]bool
	// exponential are the series whose exponential histograms observed anything.
	exponential map[seriesKey]bool
}

func sourcesOf(list []sighted) sources {
	out := sources{make(map[trafficKey]map[string]bool), make(map[seriesKey]bool)}
	for i := range list {
		s := &list[i]
		if s.untyped {
			continue
		}
		key := s.key()
		if out.pods[key] == nil {
			out.pods[key] = make(map[string]bool)
		}
		pod := s.attributes.get("pod")
		if pod == "" {
			pod = s.resource["k8s.pod.name"]
		}
		out.pods[key][pod] = true
		if s.observed != nil && s.observed.count > 0 {
			out.exponential[seriesKey{metric: s.metric, id: s.id}] = true
		}
	}
	return out
}

// again tells whether what s says came in a better way too.
//
// Federation leaves the proxy's own labels and replaces the resource and the
// labels of the scrape (job, instance, prometheus); so series are the same where
// they count the same requests of the same pod. Where either side does not name
// its pod, what came natively stands for all pods: to miss a replica that is only
// federated is better than to count all others twice.
//
// A process whose native histograms are scraped together with its classic ones
// sends the same observations in both; the exponential one is the finer.
func (f sources) again(s *sighted) bool {
	if s.untyped {
		pods, pod := f.pods[s.key()], s.attributes.get("pod")
		return pods[""] || pods[pod] || pod == "" && len(pods) > 0
	}
	return s.classic() && f.exponential[seriesKey{metric: s.metric, id: s.id}]
}
