package clickhouse

import (
	"cmp"
	"slices"

	"github.com/atlhyper/observe/shared/model"
)

const (
	hwmonTemp   = "node_hwmon_temp_celsius"
	hwmonMax    = "node_hwmon_temp_max_celsius"
	hwmonCrit   = "node_hwmon_temp_crit_celsius"
	hwmonChips  = "node_hwmon_chip_names"
	hwmonLabels = "node_hwmon_sensor_label"
	thermalZone = "node_thermal_zone_temp"
)

// temperatureMetrics are the metrics of temperatures and of their names.
func temperatureMetrics() map[string]bool {
	return map[string]bool{
		hwmonTemp: true, hwmonMax: true, hwmonCrit: true, hwmonChips: true, hwmonLabels: true, thermalZone: true,
	}
}

// cpuChips are the drivers and zones that measure the processor.
func cpuChips() []string {
	return []string{"coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "x86_pkg_temp"}
}

// temperature lists the sensors of hwmon, or the thermal zones where there is
// no hwmon (many ARM boards). The CPU's values are those of its hottest sensor.
func (n *nodeSamples) temperature() model.NodeTemperature {
	sensors := n.hwmonSensors()
	if len(sensors) == 0 {
		for _, v := range n.values[thermalZone] {
			sensors = append(sensors, model.NodeSensor{
				Chip: v.labels.get("type"), Sensor: "zone" + v.labels.get("zone"), CurrentC: v.value,
			})
		}
	}
	slices.SortFunc(sensors, func(a, b model.NodeSensor) int {
		return cmp.Or(cmp.Compare(a.Chip, b.Chip), cmp.Compare(a.Sensor, b.Sensor))
	})
	t := model.NodeTemperature{Sensors: sensors}
	for i, s := range sensors {
		if slices.Contains(cpuChips(), s.Chip) && (t.CPUTempC == 0 || s.CurrentC > t.CPUTempC) {
			t.CPUTempC, t.CPUMaxC, t.CPUCritC = sensors[i].CurrentC, sensors[i].MaxC, sensors[i].CritC
		}
	}
	return t
}

func (n *nodeSamples) hwmonSensors() []model.NodeSensor {
	type key [2]string // chip, sensor
	of := func(v labelled) key { return key{v.labels.get("chip"), v.labels.get("sensor")} }
	limits := func(metric string) map[key]float64 {
		m := make(map[key]float64)
		for _, v := range n.values[metric] {
			m[of(v)] = v.value
		}
		return m
	}
	chips, names := make(map[string]string), make(map[key]string)
	for _, v := range n.values[hwmonChips] {
		chips[v.labels.get("chip")] = v.labels.get("chip_name")
	}
	for _, v := range n.values[hwmonLabels] {
		names[of(v)] = v.labels.get("label")
	}
	highest, critical := limits(hwmonMax), limits(hwmonCrit)
	out := []model.NodeSensor{}
	for _, v := range n.values[hwmonTemp] {
		k := of(v)
		out = append(out, model.NodeSensor{
			Chip: cmp.Or(chips[k[0]], k[0]), Sensor: cmp.Or(names[k], k[1]),
			CurrentC: v.value, MaxC: highest[k], CritC: critical[k],
		})
	}
	return out
}
