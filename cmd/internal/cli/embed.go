package cli

import (
	// In an image without files these stand in for the system's, which count where
	// there are any (ADR 26): ClickHouse's driver looks up the time zone of its server,
	// and TLS needs authorities to trust.
	_ "time/tzdata"

	_ "golang.org/x/crypto/x509roots/fallback"
)
