package snapshot

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// Get answers as the account did: the document that the export read at r. The list of policies and the lists of versions
// are put together from the policies and versions that were exported. Together with Page a snapshot serves whoever
// reads an account.
func (s *Snapshot) Get(_ context.Context, r cloudlet.Resource) ([]byte, error) {
	path, _, _ := strings.Cut(r.Path, "?")
	for _, api := range []cloudlet.API{cloudlet.V2, cloudlet.V3} {
		if policies, _, _ := strings.Cut(api.Policies(false).Path, "?"); path == policies {
			return s.policyList(api)
		}
	}
	if r.Path == cloudlet.Origins().Path {
		return s.collect(func(f File) bool {
			return strings.HasPrefix(f.Path, lbal+"/") && strings.HasSuffix(f.Path, "/"+OriginFile)
		})
	}
	if above, ok := strings.CutSuffix(path, "/versions"); ok {
		return s.collect(func(f File) bool { return f.Listed != "" && strings.HasPrefix(f.Request, above+"/versions/") })
	}
	for _, f := range s.Manifest.Files {
		if f.Request == r.Path {
			return s.Read(f.Path)
		}
	}
	decoded, err := url.PathUnescape(r.Path)
	if err != nil {
		decoded = r.Path
	}
	return nil, fmt.Errorf("the snapshot does not hold %s", decoded)
}

// Page gives the whole list as one page.
func (s *Snapshot) Page(ctx context.Context, r cloudlet.Resource, _ string) (cloudlet.Page, error) {
	list, err := s.Get(ctx, r)
	if err != nil {
		return cloudlet.Page{}, err
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(list, &elements); err != nil {
		return cloudlet.Page{}, fmt.Errorf("read %s from the snapshot: %w", r.Path, err)
	}
	return cloudlet.Page{Elements: elements, Total: len(elements)}, nil
}

func (s *Snapshot) policyList(api cloudlet.API) ([]byte, error) {
	return s.collect(func(f File) bool {
		dir, ok := strings.CutSuffix(f.Path, "/"+PolicyFile)
		return ok && strings.HasPrefix(dir, cmp.Or(map[cloudlet.API]string{cloudlet.V3: shared}[api], legacy)+"/")
	})
}

// collect makes one array of the documents of the files that are wanted, in natural order of their paths.
func (s *Snapshot) collect(wanted func(File) bool) ([]byte, error) {
	var files []File
	for _, f := range s.Manifest.Files {
		if wanted(f) {
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b File) int {
		return cmp.Or(cmp.Compare(len(KeyOf(a.Path)), len(KeyOf(b.Path))), strings.Compare(a.Path, b.Path))
	})
	list := []byte{'['}
	for i, f := range files {
		text, err := s.Read(f.Path)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, text...)
	}
	return append(list, ']'), nil
}
