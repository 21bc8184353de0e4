//go:build !cgo

package checkpoint

// The SQLite driver is C. Without cgo it would still compile and then fail at its first use; the compiler says so instead.
var (
	newConnector = cloudletmig_needs_cgo__set_CGO_ENABLED_1_and_install_gcc
	sqliteCode   = newConnector // of no type either, so that there is no second message
)
