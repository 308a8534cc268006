package resources

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/atlhyper/observe/shared/model"
)

// parser makes an Index in one pass over the JSON.
type parser struct {
	scanner
	index *Index
	texts map[string]string // texts that many objects share
	sets  map[string]int32  // places of sets of labels
}

// object reads one object.
func (p *parser) object() error {
	x := p.index
	o := object{span: span{from: p.pos}, labels: -1}
	for i := range x.columns.all {
		if c := &x.columns.all[i]; x.kind.fields[i].what == text {
			c.texts = append(c.texts, "")
		} else {
			c.numbers = append(c.numbers, 0)
		}
	}
	err := p.scanner.object(func(name []byte) error {
		switch {
		case !x.kind.Labelled:
			return p.identity(&o, name)
		case string(name) == "metadata":
			return p.scanner.object(func(name []byte) error { return p.identity(&o, name) })
		default:
			return p.field(name, false)
		}
	})
	o.to = p.pos
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
func (p *parser) identity(o *object, name []byte) (err error) {
	switch string(name) {
	case "name":
		o.name, err = p.name()
		o.lower = strings.ToLower(o.name) // the same text if it is
		p.index.texts += len(o.name)
		if o.lower != o.name {
			p.index.texts += len(o.lower)
		}
		return err
	case "namespace":
		namespace, err := p.name()
		o.namespace = p.shared([]byte(namespace))
		return err
	case "labels":
		if p.index.kind.Labelled {
			return p.labels(o)
		}
	case "creationTimestamp":
		if p.index.kind.Labelled {
			return p.field([]byte(byAge), true)
		}
	}
	if p.index.kind.Labelled {
		return p.skip()
	}
	return p.field(name, false)
}

func (p *parser) name() (string, error) {
	name, err := p.text()
	if err != nil {
		return "", err
	}
	if len(name) > maxName {
		return "", fmt.Errorf("is longer than %d bytes", maxName)
	}
	return string(name), nil
}

// labels notes an object's labels, which many objects share. They are looked into when
// somebody asks for some.
func (p *parser) labels(o *object) error {
	begin := p.pos
	if err := p.scanner.object(func([]byte) error { _, _, err := p.quoted(); return err }); err != nil {
		return err
	}
	set, known := p.sets[string(p.data[begin:p.pos])]
	if !known {
		set = int32(len(p.index.labels))
		p.sets[string(p.data[begin:p.pos])] = set
		p.index.labels = append(p.index.labels, span{begin, p.pos})
	}
	o.labels = set
	return nil
}

// field reads a member of an object into its column, if it has one.
func (p *parser) field(name []byte, inMetadata bool) error {
	i := slices.IndexFunc(p.index.kind.fields, func(f field) bool { return f.name == string(name) })
	// Nothing but metadata says the age.
	isAge := string(name) == byAge
	if i < 0 || isAge != inMetadata {
		return p.skip()
	}
	if p.null() {
		return nil
	}
	c := &p.index.columns.all[i]
	if p.index.kind.fields[i].what == text {
		value, err := p.text()
		c.texts[len(c.texts)-1] = p.shared(value[:min(len(value), maxKey)])
		return err
	}
	value, err := p.number(p.index.kind.fields[i].what)
	if isAge {
		value = -value
	}
	c.numbers[len(c.numbers)-1] = value
	return err
}

// number reads what is sorted by as a number.
func (p *parser) number(of what) (n int64, err error) {
	switch of {
	case flag:
		set, err := p.boolean()
		if set {
			n = 1
		}
		return n, err
	case instant:
		value, err := p.text()
		if err != nil {
			return 0, err
		}
		at, err := model.Time(value).Parse()
		if err != nil {
			return 0, errors.New("is no time")
		}
		return micros(at), nil
	case length:
		err = p.list(func() error {
			n++
			return p.skip()
		})
		return n, err
	default:
		return p.integer()
	}
}

// shared is a text that is kept once.
func (p *parser) shared(value []byte) string {
	if text, known := p.texts[string(value)]; known {
		return text
	}
	text := string(value)
	p.texts[text] = text
	p.index.texts += len(text)
	return text
}
