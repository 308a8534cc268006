package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// bom is the bill of materials of a component's image as CycloneDX 1.6 in JSON. It
// says what the binary says of itself, which is what was linked: every module with the
// checksum of go.sum, Go's library, and the settings of the build. Nothing else is in
// the image. Equal binaries have equal bills.
func bom(c component, b build, of source, binary []byte) ([]byte, error) {
	info := b.info[c.binary]
	sum := sha256.Sum256(binary)
	self := cdx.Component{
		Type:       cdx.ComponentTypeApplication,
		Name:       c.image,
		Version:    of.version,
		PackageURL: purl(info.Main.Path, of.version) + "#cmd/" + c.binary,
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Properties: properties(info),
	}
	self.BOMRef = self.PackageURL
	parts, err := modules(info)
	if err != nil {
		return nil, err
	}
	refs := make([]string, len(parts))
	for i, p := range parts {
		refs[i] = p.BOMRef
	}

	bill := cdx.NewBOM()
	bill.SerialNumber = uuid.NewSHA1(uuid.NameSpaceOID, sum[:]).URN()
	bill.Metadata = &cdx.Metadata{Timestamp: of.created.Format(time.RFC3339), Component: &self}
	bill.Components = &parts
	bill.Dependencies = &[]cdx.Dependency{{Ref: self.BOMRef, Dependencies: &refs}}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bill, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	return out.Bytes(), nil
}

// properties are the settings of the build, by the names that cyclonedx-gomod gives
// them.
func properties(info *debug.BuildInfo) *[]cdx.Property {
	all := make([]cdx.Property, len(info.Settings))
	for i, s := range info.Settings {
		all[i] = cdx.Property{Name: "cdx:gomod:build:" + s.Key, Value: s.Value}
	}
	return &all
}

// modules are those that the binary was linked from, after Go's own library.
func modules(info *debug.BuildInfo) ([]cdx.Component, error) {
	all := []cdx.Component{library("stdlib", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		part := library(m.Path, m.Version)
		if m.Sum != "" {
			sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
			if err != nil {
				return nil, fmt.Errorf("checksum of %s: %w", m.Path, err)
			}
			part.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
		}
		all = append(all, part)
	}
	return all, nil
}

func library(path, version string) cdx.Component {
	ref := purl(path, version)
	return cdx.Component{
		BOMRef: ref, Type: cdx.ComponentTypeLibrary, Name: path, Version: version,
		PackageURL: ref, Scope: cdx.ScopeRequired,
	}
}

// purl is a module's package URL: github.com/package-url/purl-spec, type golang, whose
// names are in lower case.
func purl(path, version string) string {
	return "pkg:golang/" + strings.ToLower(path) + "@" + url.QueryEscape(version)
}
