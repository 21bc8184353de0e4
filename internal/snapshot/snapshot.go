package snapshot

import (
	"errors"
	"fmt"
	"io/fs"

	"cloudletmig/internal/durable"
)

// Snapshot is a finished export opened for reading. Safe for concurrent use.
type Snapshot struct {
	Manifest Manifest
	folder   *durable.Folder
}

// Open opens the snapshot in dir. The error is ErrNoManifest, ErrDamaged or ErrNewer where the manifest is to blame.
func Open(dir string) (*Snapshot, error) {
	folder, err := durable.Open(dir)
	if err != nil {
		return nil, err
	}
	text, err := folder.ReadFile(ManifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNoManifest
	}
	s := &Snapshot{folder: folder}
	if err == nil {
		s.Manifest, err = readManifest(text)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshot %s: %w", dir, err), folder.Close())
	}
	return s, nil
}

// Close lets go of the folder.
func (s *Snapshot) Close() error { return s.folder.Close() }

// Read gives a file's bytes if they are what the manifest says, else an error.
func (s *Snapshot) Read(path string) ([]byte, error) {
	f, ok := s.Manifest.Files[path]
	if !ok {
		return nil, fmt.Errorf("%s is not in the manifest", path)
	}
	text, err := s.folder.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing", ErrDamaged, path)
	}
	if err != nil {
		return nil, err
	}
	if !f.fits(text) {
		return nil, fmt.Errorf("%w: the size or the hash of %s is not what the manifest says", ErrDamaged, path)
	}
	return text, nil
}

// Versions gives the version files by their key (KeyOf).
func (s *Snapshot) Versions() map[string]File {
	versions := map[string]File{}
	for path, f := range s.Manifest.Files {
		if f.Listed != "" {
			versions[KeyOf(path)] = f
		}
	}
	return versions
}

// Path is the folder that the snapshot is in.
func (s *Snapshot) Path() string { return s.folder.Path() }
