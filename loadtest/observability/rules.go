package observability

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// Rules is a rule file of Prometheus.
type Rules struct {
	Groups []struct {
		Name     string `json:"name"`
		Interval string `json:"interval"`
		Rules    []Rule `json:"rules"`
	} `json:"groups"`
}

// Rule records a series or raises an alert.
type Rule struct {
	Record      string            `json:"record,omitempty"`
	Alert       string            `json:"alert,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ReadRules reads a rule file; a field that Prometheus does not know is an error.
func ReadRules(path string) ([]Rule, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	var file Rules
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return nil, fmt.Errorf("rules: %s: %w", path, err)
	}
	var all []Rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}
