{{template "hours" .Sum}}
