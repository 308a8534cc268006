{{template "hours" .Gauge}}
