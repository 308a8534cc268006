{{template "hours" .ExpHistogram}}
