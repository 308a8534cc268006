package cli

// It stands in for the system's authorities in an image without files, and counts only
// there (ADR 26).
import (
	_ "golang.org/x/crypto/x509roots/fallback" // TLS needs authorities to trust
)
