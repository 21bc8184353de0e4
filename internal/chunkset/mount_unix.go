//go:build unix

package chunkset

import (
	"os"
	"path/filepath"
	"syscall"
)

// mounted says whether dir is another file system than the folder that it is in, as a container's volume is. No rename
// could move it, and it is better known before the work than after it.
func mounted(dir string) bool {
	own, err := os.Stat(dir)
	if err != nil {
		return false
	}
	above, err := os.Stat(filepath.Dir(dir))
	if err != nil {
		return false
	}
	a, ok := own.Sys().(*syscall.Stat_t)
	b, also := above.Sys().(*syscall.Stat_t)
	return ok && also && a.Dev != b.Dev
}
