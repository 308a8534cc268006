package access

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Bounds and defaults of the file that says what claims give.
const (
	maxClaimsFile = 1 << 20
	maxGrants     = 1000
	maxClaimPath  = 8
)

// claimPath is where a claim lies: a name, or names from the outside in. In the file it
// is a text or a list of texts, since names may hold dots.
type claimPath []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (p *claimPath) UnmarshalYAML(node *yaml.Node) error {
	var one string
	if node.Kind == yaml.ScalarNode {
		if err := node.Decode(&one); err != nil {
			return err
		}
		*p = claimPath{one}
		return nil
	}
	return node.Decode((*[]string)(p))
}

func (p claimPath) validate() error {
	if len(p) == 0 || len(p) > maxClaimPath {
		return fmt.Errorf("must be 1 to %d names of claims", maxClaimPath)
	}
	for _, name := range p {
		if name == "" {
			return errors.New("a name of a claim is empty")
		}
	}
	return nil
}

// in returns the claim, nil when it is not there.
func (p claimPath) in(claims map[string]any) any {
	var value any = claims
	for _, name := range p {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

// Claims says what the claims of a token give.
type Claims struct {
	// Issuer and Audience are those of the file; "" when it does not say.
	Issuer, Audience string

	name, roles claimPath
	grants      map[string][]Grant // by value of the claim roles
}

// claimsFile is the file.
type claimsFile struct {
	// Issuer and Audience are as in OIDCConfig, which goes first.
	Issuer   string `yaml:"issuer"`
	Audience string `yaml:"audience"`
	// Name is the claim that names the caller; by default sub.
	Name claimPath `yaml:"name"`
	// Roles is the claim that holds a text or a list of texts; by default groups.
	Roles claimPath `yaml:"roles"`
	// Grants say what one of those texts gives. A caller has all that any of its texts gives.
	Grants []struct {
		Value    string   `yaml:"value"`
		Role     string   `yaml:"role"`
		Clusters []string `yaml:"clusters"`
	} `yaml:"grants"`
}

// ParseClaims reads a file that says what claims give: YAML, one document, no field that
// is not known. The error names the line.
func ParseClaims(data []byte) (*Claims, error) {
	if len(data) > maxClaimsFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxClaimsFile)
	}
	file := claimsFile{Name: claimPath{"sub"}, Roles: claimPath{"groups"}}
	lines, err := decodeYAML(data, &file, "grants")
	if err != nil {
		return nil, err
	}
	for name, path := range map[string]claimPath{"name": file.Name, "roles": file.Roles} {
		if err := path.validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(file.Grants) > maxGrants {
		return nil, fmt.Errorf("%d grants are more than %d", len(file.Grants), maxGrants)
	}
	c := &Claims{Issuer: file.Issuer, Audience: file.Audience, name: file.Name, roles: file.Roles, grants: make(map[string][]Grant)}
	for i, g := range file.Grants {
		role, errRole := ParseRole(g.Role)
		clusters, errClusters := ParseClusters(g.Clusters)
		err := errors.Join(errRole, errClusters)
		if g.Value == "" {
			err = errors.New("value: is required")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d, grant %d %.80q: %w", lines[i], i+1, g.Value, err)
		}
		c.grants[g.Value] = append(c.grants[g.Value], Grant{role, clusters})
	}
	return c, nil
}

// caller is who has these claims. The error says why they give nothing; the caller then
// has a name and no rights, or is nil when the claims give no name either.
func (c *Claims) caller(claims map[string]any, expires time.Time) (*Caller, error) {
	name, ok := c.name.in(claims).(string)
	if !ok {
		return nil, fmt.Errorf("claim %s: is no text", strings.Join(c.name, "."))
	}
	if err := ValidateName(name); err != nil {
		return nil, fmt.Errorf("claim %s: %w", strings.Join(c.name, "."), err)
	}
	var grants []Grant
	seen := make(map[string]bool)
	for _, value := range c.values(claims) {
		if !seen[value] {
			seen[value] = true
			grants = append(grants, c.grants[value]...)
		}
	}
	if len(grants) == 0 {
		return NewCaller(name, expires), fmt.Errorf("claim %s: has no value that is granted anything", strings.Join(c.roles, "."))
	}
	return NewCaller(name, expires, grants...), nil
}

// values are the texts of the claim roles. A scope is texts with spaces between: RFC
// 8693, 4.2; scp is how some issuers call it.
func (c *Claims) values(claims map[string]any) []string {
	switch value := c.roles.in(claims).(type) {
	case string:
		if last := c.roles[len(c.roles)-1]; last == "scope" || last == "scp" {
			return strings.Fields(value)
		}
		return []string{value}
	case []any:
		var texts []string
		for _, item := range value {
			if text, ok := item.(string); ok {
				texts = append(texts, text)
			}
		}
		return texts
	default:
		return nil
	}
}
