package chunkset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"cloudletmig/internal/durable"
)

// Set is a converted folder that is open for reading. Safe for concurrent use until Close.
type Set struct {
	Dispatch Dispatch

	folder *durable.Folder
}

// Open opens the converted folder dir. It is ErrNoDispatch where there is no dispatch.json.
func Open(dir string) (*Set, error) {
	folder, err := durable.Open(dir)
	if err != nil {
		return nil, err
	}
	d, err := readDispatch(folder)
	if err != nil {
		_ = folder.Close() // nothing was written
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &Set{Dispatch: d, folder: folder}, nil
}

func readDispatch(folder *durable.Folder) (Dispatch, error) {
	doc, err := folder.ReadFile(DispatchFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Dispatch{}, ErrNoDispatch
	}
	if err != nil {
		return Dispatch{}, err
	}
	return parseDispatch(doc)
}

// Chunk reads the chunk c of the dispatch. Names that the dispatch does not have are not read.
func (s *Set) Chunk(c Chunk) (Body, error) {
	if !slices.ContainsFunc(s.Dispatch.Chunks, func(have Chunk) bool { return have.File == c.File }) {
		return Body{}, fmt.Errorf("read chunk %q: %s does not name it", c.File, DispatchFile)
	}
	doc, err := s.folder.ReadFile(c.File)
	if err != nil {
		return Body{}, fmt.Errorf("read chunk: %w", err)
	}
	b, err := ReadBody(doc)
	if err != nil {
		return Body{}, fmt.Errorf("read chunk %s: %w", c.File, err)
	}
	return b, nil
}

// Property is property-rules.json as it stands.
func (s *Set) Property() ([]byte, error) { return s.folder.ReadFile(PropertyFile) }

// Report is what the conversion reported; its problems are left out. It is the zero Report where the folder has none.
func (s *Set) Report() (Report, error) {
	doc, err := s.folder.ReadFile(ReportFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, nil
	}
	var r Report
	if err == nil {
		err = json.Unmarshal(doc, &r)
	}
	if err != nil {
		return Report{}, fmt.Errorf("read %s: %w", ReportFile, err)
	}
	r.Problems = nil
	return r, nil
}

// Close lets go of the folder.
func (s *Set) Close() error { return s.folder.Close() }
