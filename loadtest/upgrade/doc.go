// Package upgrade tries real agents and masters of an earlier state of the project with
// those of today: it builds both, and replaces one by the other under requests, there
// and back. make test-upgrade runs it; that nothing which lies in Redis changes unseen
// is tested by golden files everywhere else (package wiretest).
package upgrade
