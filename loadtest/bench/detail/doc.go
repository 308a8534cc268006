// Package detail measures how much of the tables the detail queries read, at
// sizes at which reading all of them would be felt: make bench-detail.
//
// Rows read are the server's own count, as a share of all rows of the tables that
// the query is about. They hardly depend on the machine; the milliseconds do.
package detail
