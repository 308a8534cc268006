{{template "hours" .Histogram}}
