package load

import (
	_ "embed" // the template
	"fmt"
	"strings"
	"text/template"
)

//go:embed haproxy.cfg
var balancerTemplate string

// balancerConfig is HAProxy's configuration: it listens at listen and sends requests
// to the masters in turn. Addresses are host:port.
func balancerConfig(listen string, masters []string) (string, error) {
	t, err := template.New("haproxy.cfg").Parse(balancerTemplate)
	if err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	var text strings.Builder
	data := struct {
		Listen  string
		Masters []string
	}{listen, masters}
	if err := t.Execute(&text, data); err != nil {
		return "", fmt.Errorf("load: haproxy.cfg: %w", err)
	}
	return text.String(), nil
}
