package clickhouse

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// namedInFinding is how many nodes a finding names.
const namedInFinding = 3

// identityRow is what tells a node, and the machines that say it.
type identityRow struct {
	resource labels
	instance string // through federation
	machines []string
	samples  int64
}

// identitiesFound is by what nodes are told apart.
type identitiesFound struct {
	samples  map[string]int64 // by attribute
	of       map[partKey]map[string]bool
	hostName map[string]map[string]bool // the machines of each host.name that is a key
	any      bool
}

// findIdentity says by what nodes are told apart, by the agent's own rules.
func (d *doctor) findIdentity(ctx context.Context) {
	if !slices.ContainsFunc(d.out.Sources, func(s SourceFound) bool { return s.area == areaNodes }) {
		return
	}
	found := identitiesFound{
		samples: make(map[string]int64), of: make(map[partKey]map[string]bool), hostName: make(map[string]map[string]bool),
	}
	for _, sig := range []signal{signalGauge, signalSum} {
		t := d.tables[sig]
		if t == nil || t.Rows == 0 {
			continue
		}
		p := d.windowParams(t)
		p["metrics"] = []string{unameInfo, "node_load1", hostLoad1, hostMemory}
		p["resource_names"] = nodeAttributes()
		rows, err := bounded(ctx, d, "doctor_identity", p, func(rows driver.Rows) (identityRow, error) {
			var (
				r        identityRow
				resource map[string]string
			)
			err := rows.Scan(&resource, &r.instance, &r.machines, &r.samples)
			r.resource = resource
			return r, err
		})
		if err != nil {
			d.fail(t.Name, err)
			continue
		}
		for _, row := range rows {
			found.add(row)
		}
	}
	d.judgeIdentity(found)
}

func (f *identitiesFound) add(r identityRow) {
	f.any = true
	for _, name := range nodeResourceKeys() {
		if r.resource[name] != "" {
			f.samples[name] += r.samples
		}
	}
	if r.instance != "" {
		f.samples["exported_instance"] += r.samples
	}
	id, ok := identify(&series{resource: r.resource, attributes: labels{"exported_instance": r.instance}})
	if !ok {
		return
	}
	note := func(machines map[string]bool) map[string]bool {
		if machines == nil {
			machines = make(map[string]bool)
		}
		for _, machine := range r.machines {
			machines[machine] = true
		}
		return machines
	}
	part := partKey{id.key, id.endpoint}
	f.of[part] = note(f.of[part])
	if id.named && !id.assigned {
		f.hostName[id.key] = note(f.hostName[id.key])
	}
}

func (d *doctor) judgeIdentity(found identitiesFound) {
	for _, name := range append(nodeResourceKeys(), "exported_instance") {
		if n := found.samples[name]; n > 0 {
			d.out.NodeIdentity = append(d.out.NodeIdentity, AttributeFound{name, n})
		}
	}
	colliding := make(map[string]bool)
	for part, machines := range found.of {
		if len(machines) > 1 {
			colliding[part.key] = true
		}
	}
	if len(colliding) > 0 {
		d.find(Problem, "nodes", "several machines report as one node, as "+someOf(colliding)+": their series cannot be told apart",
			"add the processor resourcedetection (host.name) or k8sattributes (k8s.node.name) to each collector; scraping localhost tells no node")
	}
	central := make(map[string]bool)
	for name, machines := range found.hostName {
		if len(machines) > 1 && !colliding[name] {
			central[name] = true
		}
	}
	if len(central) > 0 {
		d.find(Warning, "nodes", "several machines send one host.name, "+someOf(central)+
			": it is the collector's own, so they are told apart by the address they were scraped at",
			"take host.name out of the resourcedetection of a collector that scrapes other machines")
	}
	if found.any && len(d.out.NodeIdentity) == 0 {
		d.find(Problem, "nodes", "nothing tells which node the node metrics are of",
			"add the processor resourcedetection (host.name) or k8sattributes (k8s.node.name)")
	}
}

// someOf names a few of a set, and says how many more there are.
func someOf(names map[string]bool) string {
	list := slices.Sorted(maps.Keys(names))
	if more := len(list) - namedInFinding; more > 0 {
		return strings.Join(list[:namedInFinding], ", ") + " and " + number(more, "other")
	}
	return strings.Join(list, ", ")
}
