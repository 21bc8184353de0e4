package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestCodesAreDocumented holds the table of docs/csv.md against the codes that convert and sheet give to problems of rows.
func TestCodesAreDocumented(t *testing.T) {
	t.Parallel()
	read := func(parts ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, parts...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	given := []string{"ragged", "quote"}
	for _, m := range regexp.MustCompile(`(?m)^\tcode\w+ += "([a-z-]+)"`).FindAllStringSubmatch(read("internal", "convert", "rejection.go"), -1) {
		given = append(given, m[1])
	}
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (?:error|warning|info) \\|").FindAllStringSubmatch(read("docs", "csv.md"), -1) {
		told = append(told, m[1])
	}
	if !slices.IsSorted(told) {
		t.Errorf("the table is not in order: %q", told)
	}
	slices.Sort(given)
	if !slices.Equal(given, told) {
		t.Errorf("problems have the codes\n%q\nand docs/csv.md explains\n%q", given, told)
	}
}
