// Package openapi makes descriptions of an HTTP API in the form of OpenAPI 3.1: the
// document, and the schemas of Go types as encoding/json writes them. What routes there
// are is said by who calls it.
package openapi

import (
	"encoding/json"
	"fmt"
)

// Version is that of the form.
const Version = "3.1.0"

// Document is a description. Maps are written in the order of their keys, so that the
// same description is the same text.
type Document struct {
	OpenAPI    string              `json:"openapi"`
	Info       Info                `json:"info"`
	Servers    []Server            `json:"servers,omitempty"`
	Tags       []Tag               `json:"tags,omitempty"`
	Paths      map[string]PathItem `json:"paths"`
	Components Components          `json:"components"`
	Security   []map[string][]any  `json:"security,omitempty"`
}

// Info says what the API is.
type Info struct {
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Version     string `json:"version"`
}

// Server is where it is.
type Server struct {
	URL string `json:"url"`
}

// Tag is a group of operations.
type Tag struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// PathItem are the operations of a path, by method in lower case.
type PathItem map[string]*Operation

// Operation is what a method does.
type Operation struct {
	OperationID string               `json:"operationId"`
	Summary     string               `json:"summary,omitempty"`
	Description string               `json:"description,omitempty"`
	Tags        []string             `json:"tags,omitempty"`
	Parameters  []Parameter          `json:"parameters,omitempty"`
	RequestBody *Body                `json:"requestBody,omitempty"`
	Responses   map[string]*Response `json:"responses"`
	// Security is nil for that of the document; empty for none.
	Security *[]map[string][]any `json:"security,omitempty"`
}

// Parameter is one of an operation.
type Parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"` // path or query
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Schema      *Schema `json:"schema"`
}

// Body is what is sent.
type Body struct {
	Required bool                 `json:"required,omitempty"`
	Content  map[string]MediaType `json:"content"`
}

// MediaType is a form of a body.
type MediaType struct {
	Schema *Schema `json:"schema,omitempty"`
}

// Response is an answer.
type Response struct {
	Ref         string               `json:"$ref,omitempty"`
	Description string               `json:"description,omitempty"`
	Content     map[string]MediaType `json:"content,omitempty"`
}

// Components are what others refer to by name.
type Components struct {
	Schemas         map[string]*Schema        `json:"schemas,omitempty"`
	Responses       map[string]*Response      `json:"responses,omitempty"`
	SecuritySchemes map[string]SecurityScheme `json:"securitySchemes,omitempty"`
}

// SecurityScheme is a way to say who calls.
type SecurityScheme struct {
	Type        string `json:"type"` // http or apiKey
	Scheme      string `json:"scheme,omitempty"`
	In          string `json:"in,omitempty"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
}

// JSON is the document's text. The error is about a document that has no text.
func (d *Document) JSON() ([]byte, error) {
	d.OpenAPI = Version
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	return append(text, '\n'), nil
}
