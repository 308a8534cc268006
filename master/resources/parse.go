package resources

import (
	"errors"
	"strings"

	"github.com/tidwall/gjson"
)

// parser makes an Index in one pass over the JSON. The texts that gjson returns are parts
// of a copy of all of it: the index clones what it keeps.
type parser struct {
	index *Index
	texts map[string]string // texts that many objects share
	sets  map[string]int32  // places of sets of labels
}

// object reads one object.
func (p *parser) object(value gjson.Result) error {
	x := p.index
	o := object{span: spanOf(value), labels: -1}
	for i := range x.columns.all {
		if c := &x.columns.all[i]; x.kind.fields[i].what == text {
			c.texts = append(c.texts, "")
		} else {
			c.numbers = append(c.numbers, 0)
		}
	}
	identity := func(name string, value gjson.Result) error { return p.identity(&o, name, value) }
	err := members(value, func(name string, value gjson.Result) error {
		switch {
		case !x.kind.Labelled:
			return identity(name, value)
		case name == "metadata":
			return members(value, identity)
		default:
			return p.field(name, value, false)
		}
	})
	switch {
	case err != nil:
		return err
	case o.name == "":
		return errors.New("has no name")
	}
	x.objects = append(x.objects, o)
	return nil
}

// identity reads a member of KubeMetadata, or of an object that has none.
func (p *parser) identity(o *object, member string, value gjson.Result) error {
	switch member {
	case "name":
		name, err := nameOf(value)
		o.name = strings.Clone(name)
		o.lower = strings.ToLower(o.name) // the same text if it is
		p.index.texts += len(o.name)
		if o.lower != o.name {
			p.index.texts += len(o.lower)
		}
		return err
	case "namespace":
		namespace, err := nameOf(value)
		o.namespace = p.shared(namespace)
		return err
	}
	switch {
	case !p.index.kind.Labelled:
		return p.field(member, value, false)
	case member == "labels":
		return p.labels(o, value)
	case member == "creationTimestamp":
		return p.field(byAge, value, true)
	}
	return nil
}

// labels notes an object's labels, which many objects share. They are looked into when
// somebody asks for some.
func (p *parser) labels(o *object, value gjson.Result) error {
	set, known := p.sets[value.Raw]
	if !known {
		err := members(value, func(_ string, value gjson.Result) error { _, err := textOf(value); return err })
		if err != nil {
			return err
		}
		set = int32(len(p.index.labels))
		p.sets[value.Raw] = set
		p.index.labels = append(p.index.labels, spanOf(value))
	}
	o.labels = set
	return nil
}

// field reads a member of an object into its column, if it has one.
func (p *parser) field(name string, value gjson.Result, inMetadata bool) error {
	i := p.index.kind.column(name)
	// Nothing but metadata says the age.
	isAge := name == byAge
	if i < 0 || isAge != inMetadata || value.Type == gjson.Null {
		return nil
	}
	c := &p.index.columns.all[i]
	if p.index.kind.fields[i].what == text {
		value, err := textOf(value)
		c.texts[len(c.texts)-1] = p.shared(value[:min(len(value), maxKey)])
		return err
	}
	n, err := numberOf(value, p.index.kind.fields[i].what)
	if isAge {
		n = -n
	}
	c.numbers[len(c.numbers)-1] = n
	return err
}

// shared is a text that is kept once.
func (p *parser) shared(value string) string {
	if text, known := p.texts[value]; known {
		return text
	}
	text := strings.Clone(value)
	p.texts[text] = text
	p.index.texts += len(text)
	return text
}
