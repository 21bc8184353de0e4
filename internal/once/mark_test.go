package once_test

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"

	"cloudletmig/internal/once"
)

func TestMarker(t *testing.T) {
	long := strings.Repeat("n", 300)
	for _, c := range []struct{ run, item, want string }{
		{"0123abcd", "policy/a/3", "[cmig:0123abcd/policy/a/3]"},
		{"0123abcdef", "x", "[cmig:0123abcd/x]"},
		{"0123abcd", "a b]", "[cmig:0123abcd/a_b_~c9897f65f658]"},
		{"0123abcd", long, "[cmig:0123abcd/" + long[:51] + "~230b07749195]"},
	} {
		if got := once.Marker(c.run, c.item); got != c.want || len(got) > 80 {
			t.Errorf("Marker(%q, %q) is %s, want %s", c.run, c.item, got, c.want)
		}
	}
	seen := map[string]string{}
	for _, item := range []string{"", "a", "a b", "a_b", "a]b", "a~b", long, long + "n", "é", "è", "A", "a/1", "a/11"} {
		m := once.Marker("0123abcd", item)
		if other, ok := seen[m]; ok {
			t.Errorf("%q and %q have the marker %s", item, other, m)
		}
		seen[m] = item
	}
}

func TestMarkAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		description := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"", " ", "two spaces  ", "[cmig:00000000/old]", "text [cmig:00000000/old]", "[cmig:", strings.Repeat("😀", 200),
			strings.Repeat("é", 254), strings.Repeat("x", 400), "bad \xff byte",
		})).Draw(t, "description")
		marker := once.Marker(rapid.StringMatching(`[0-9a-f]{8}`).Draw(t, "run"), rapid.String().Draw(t, "item"))
		limit := rapid.SampledFrom([]int{255, 100, 80, 10}).Draw(t, "limit")
		marked := once.Mark(description, marker, limit)
		if units := len(utf16.Encode([]rune(marked))); units > max(limit, len(marker)) {
			t.Errorf("%d characters: %q", units, marked)
		}
		if utf8.ValidString(description) && !utf8.ValidString(marked) {
			t.Errorf("cut inside of a rune: %q", marked)
		}
		got, rest, ok := once.MarkOf(marked)
		if !ok || got != marker || !strings.HasPrefix(description, rest) {
			t.Errorf("MarkOf(%q) is %q, %q, %v", marked, got, rest, ok)
		}
		if len(utf16.Encode([]rune(description)))+1+len(marker) <= limit && rest != description {
			t.Errorf("%q came back as %q", description, rest)
		}
	})
}

func TestMarkOf(t *testing.T) {
	for _, c := range []struct{ description, marker, rest string }{
		{"summer sale [cmig:0123abcd/p/1] edited", "[cmig:0123abcd/p/1]", "summer sale edited"},
		{"a [cmig:00000000/old] [cmig:0123abcd/p]", "[cmig:0123abcd/p]", "a [cmig:00000000/old]"},
		{"[cloudletmig x]", "", "[cloudletmig x]"},
		{"[cmig:0123abcd/p", "", "[cmig:0123abcd/p"},
		{"", "", ""},
	} {
		if marker, rest, ok := once.MarkOf(c.description); marker != c.marker || rest != c.rest || ok != (c.marker != "") {
			t.Errorf("MarkOf(%q) is %q, %q, %v", c.description, marker, rest, ok)
		}
	}
	if once.Mark("as it is", "", 3) != "as it is" {
		t.Error("an empty marker changed the description")
	}
}
