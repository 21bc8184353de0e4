package redirect

import (
	"testing"

	"pgregory.net/rapid"
)

func TestAppendLower(t *testing.T) {
	all := make([]byte, 0, 256*9)
	for shift := range 9 {
		for c := range 256 {
			all = append(all, byte(c+shift))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		begin := rapid.IntRange(0, len(all)).Draw(t, "begin")
		text := string(all[begin:rapid.IntRange(begin, len(all)).Draw(t, "end")])
		got := appendLower([]byte("X"), text)
		if len(got) != 1+len(text) || got[0] != 'X' {
			t.Fatalf("%d bytes of %d", len(got)-1, len(text))
		}
		for i := range len(text) {
			if got[1+i] != lower(text[i]) {
				t.Fatalf("byte %#x becomes %#x", text[i], got[1+i])
			}
		}
	})
}
