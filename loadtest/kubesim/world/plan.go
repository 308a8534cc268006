package world

import (
	"fmt"
	"time"
)

// What runs an app's pods.
const (
	deployment  = "Deployment"
	statefulSet = "StatefulSet"
	daemonSet   = "DaemonSet"
)

// Namespaces beside the shop's.
const (
	media      = "media"
	infra      = "infra"
	ingress    = "ingress"
	hotrod     = "hotrod"
	monitoring = "monitoring"
	kubeSystem = "kube-system"
)

// app is one row of the plan: a workload and its service.
type app struct {
	namespace, name, kind string
	image, tag            string
	replicas              int // of a DaemonSet: one for each node it may be on
	port                  int32
	cpu, memory           string // requested
	// ips are those of its pods, where the telemetry speaks of them.
	ips []string
	// disk is the size of each replica's volume; "" for none.
	disk string
	// headless: its service has no address.
	headless bool
	// everywhere: also on the control plane (DaemonSets).
	everywhere bool
	// crashes: its last replica does, again and again.
	crashes bool
	// rolls: it is rolled out again and again.
	rolls bool
	// tooBig: it fits on no node.
	tooBig bool
	// shaky: its first replica misses a readiness probe at times.
	shaky bool
}

// apps is the plan. The replicas of what is in a mesh are as many as the mesh has pods.
func apps(c Config) []app {
	shop := c.shop()
	web := func(namespace, name, tag string, replicas int) app {
		return app{
			namespace: namespace, name: name, kind: deployment, image: "registry.example.com/" + namespace + "/" + name, tag: tag,
			replicas: replicas, port: 8080, cpu: "50m", memory: "96Mi",
		}
	}
	with := func(a app, change func(*app)) app {
		change(&a)
		return a
	}
	system := func(namespace, name, kind, image, tag string, replicas int, port int32) app {
		return app{namespace: namespace, name: name, kind: kind, image: image, tag: tag, replicas: replicas, port: port, cpu: "100m", memory: "70Mi"}
	}
	return []app{
		web(shop, "frontend", "1.14.2", 1),
		web(shop, "catalog", "1.9.0", 1),
		web(shop, "cart", "2.3.1", 2),
		web(shop, "checkout", "3.0.4", 3),
		with(web(shop, "payment", "1.2.0", 2), func(a *app) { a.crashes = true }),
		with(web(shop, "shipping", "1.1.5", 3), func(a *app) { a.shaky = true }),
		web(media, "thumbnail", "0.8.3", 1),
		web(media, "stream", "0.9.1", 2),
		with(web(media, "transcode", "0.4.0", 1), func(a *app) { a.tooBig, a.cpu, a.memory = true, "8", "48Gi" }),
		web(infra, "auth", "4.2.0", 3),
		with(system(ingress, "traefik", deployment, "docker.io/library/traefik", "v3.7.1", 2, 9100), func(a *app) {
			a.ips = []string{c.address(2, 21), c.address(2, 22)}
		}),
		with(system(ingress, "ingress-nginx-controller", deployment, "registry.k8s.io/ingress-nginx/controller", "v1.14.0", 1, 4191), func(a *app) {
			a.ips = []string{c.address(2, 30)}
		}),
		web(hotrod, "frontend", "1.76.0", 1),
		web(hotrod, "customer", "1.76.0", 1),
		web(hotrod, "driver", "1.76.0", 2),
		with(web(hotrod, "route", "1.76", 3), func(a *app) { a.rolls = true }),
		with(system(hotrod, "mysql", statefulSet, "docker.io/library/mysql", "9.5", 1, 3306), func(a *app) { a.disk, a.headless = "20Gi", true }),
		with(system(hotrod, "redis-manual", statefulSet, "docker.io/library/redis", "8.4", 2, 6379), func(a *app) { a.disk, a.headless = "2Gi", true }),
		system(monitoring, "node-exporter", daemonSet, "quay.io/prometheus/node-exporter", "v1.12.0", 0, 9100),
		system(monitoring, "otel-collector", deployment, "docker.io/otel/opentelemetry-collector-contrib", "0.161.0", 1, 4317),
		system(kubeSystem, "coredns", deployment, "registry.k8s.io/coredns/coredns", "v1.14.1", 2, 53),
		with(system(kubeSystem, "kube-proxy", daemonSet, "registry.k8s.io/kube-proxy", version, 0, 10249), func(a *app) { a.everywhere = true }),
	}
}

// version is Kubernetes's.
const version = "v1.37.2"

// What happens again and again. Offsets keep the two clusters from doing the same at
// the same time.
const (
	crashEvery   = time.Minute
	crashRuns    = 20 * time.Second // of it, until the container dies
	crashReady   = 5 * time.Second  // of it, until the container is ready
	crashesOnce  = 11               // before the start
	rollEvery    = 5 * time.Minute
	rollFirst    = time.Minute      // after the start
	rollStep     = 12 * time.Second // between two pods
	startTakes   = 8 * time.Second  // from a pod's creation until it is ready
	stopTakes    = 4 * time.Second  // from its deletion until it is gone
	revisions    = 4                // rolled out before the start
	historyLimit = 10               // of replica sets that are kept
	nodeEvery    = 15 * time.Minute // the kubelet of a node is away
	nodeFirst    = 4 * time.Minute
	nodeAway     = 90 * time.Second
	probeEvery   = 7 * time.Minute // a readiness probe fails
	probeFails   = 10 * time.Second
)

// elapsed is the time since the start, moved for the second cluster.
func (m *moment) elapsed() time.Duration {
	return max(0, m.since(m.cfg.Start)) + time.Duration(m.cfg.Number)*37*time.Second
}

// at is the time of which elapsed says d.
func (m *moment) at(d time.Duration) time.Time {
	return m.cfg.Start.Add(d - time.Duration(m.cfg.Number)*37*time.Second)
}

// crash is where the crashing container is: the number of its life, and for how long
// it has had it.
func (m *moment) crash() (life int, in time.Duration) {
	d := m.elapsed() + crashEvery/2 // at the start it is down
	return crashesOnce + int(d/crashEvery), d % crashEvery
}

// rollout is the number of the last one that has begun; 0 is what ran at the start.
func (m *moment) rollout() int {
	if m.elapsed() < rollFirst {
		return 0
	}
	return 1 + int((m.elapsed()-rollFirst)/rollEvery)
}

// rollBegins is when rollout n began.
func (m *moment) rollBegins(n int) time.Time {
	return m.at(rollFirst + time.Duration(n-1)*rollEvery)
}

// nodeOutage is the last outage of a kubelet that has begun, 0 for none yet, and
// whether it lasts.
func (m *moment) nodeOutage() (number int, lasts bool) {
	d := m.elapsed() - nodeFirst
	if d < 0 {
		return 0, false
	}
	return 1 + int(d/nodeEvery), d%nodeEvery < nodeAway
}

// probe is the number of readiness probes that have failed, and whether the last one
// still counts.
func (m *moment) probe() (failed int, counts bool) {
	d := m.elapsed()
	return 1 + int(d/probeEvery), d%probeEvery < probeFails
}

// imageOf is the app's image at a rollout.
func imageOf(a *app, rollout int) string {
	if a.rolls {
		return fmt.Sprintf("%s:%s.%d", a.image, a.tag, rollout)
	}
	return a.image + ":" + a.tag
}
