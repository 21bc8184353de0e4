package chunkset

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// place is the absolute path of dir, or of what it leads to when it is a link. The current folder and those above it
// cannot be replaced under the feet of who works there.
func place(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	here, err := filepath.Abs(".")
	if err != nil {
		return "", err
	}
	if here, err = filepath.EvalSymlinks(here); err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(dir, here); err == nil && filepath.IsLocal(rel) {
		return "", fmt.Errorf("%s is, or holds, the current folder: name one that is not there yet", dir)
	}
	return dir, nil
}

// look says whether dir is there. It is an error where a new folder must not take its place.
func look(dir string, force bool) (there bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look into folder: %w", err)
	case len(entries) == 0:
		return true, nil
	case !force:
		return true, fmt.Errorf("%s: %w", dir, ErrNotEmpty)
	}
	ours := false
	for _, e := range entries {
		if e.IsDir() {
			return true, fmt.Errorf("%s: %w: it holds a folder, %s", dir, ErrForeign, e.Name())
		}
		ours = ours || e.Name() == DispatchFile && e.Type().IsRegular()
	}
	if !ours {
		return true, fmt.Errorf("%s: %w: there is no %s", dir, ErrForeign, DispatchFile)
	}
	return true, nil
}

// aside is a new name beside dir.
func aside(dir, what string) string {
	return dir + "." + what + "-" + strconv.FormatUint(rand.Uint64(), 36)
}

// missingAbove are the folders above dir that are not there, the lowest first.
func missingAbove(dir string) []string {
	var missing []string
	for at := filepath.Dir(dir); at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, at)
	}
	return missing
}
