package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Summary is how a run ended, for people.
type Summary struct {
	Headline string // what was done, or not
	Facts    []Fact
	Failed   []Item // every item that failed
	// Conflicts are the items that need a human, Pending those that the next run goes on with.
	Conflicts, Pending []Item
	Problems           []Item // what must be mended before anything is done
	Notes              []Item // what was absent, or gone meanwhile
}

// Fact is one figure of a summary.
type Fact struct{ Name, Value string }

// Item is one item of a list in a summary.
type Item struct {
	Name string `json:"item"`
	Text string `json:"text"`
}

// Text writes the summary for people, a fact a line.
func (s Summary) Text(to io.Writer) error {
	var b strings.Builder
	fmt.Fprintln(&b, s.Headline)
	width := 0
	for _, f := range s.Facts {
		width = max(width, len(f.Name))
	}
	for _, f := range s.Facts {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, f.Name, f.Value)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&b, "  note: %s\n", plain(n.Name+": "+n.Text))
	}
	for _, list := range []struct {
		word  string
		items []Item
	}{{"PROBLEM", s.Problems}, {"PENDING", s.Pending}, {"CONFLICT", s.Conflicts}, {"FAILED", s.Failed}} {
		for _, f := range list.items {
			fmt.Fprintf(&b, "  %s: %s\n", list.word, plain(f.Name+": "+f.Text))
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// plain leaves out what would control a terminal or reorder its line.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return '\ufffd'
		}
		return r
	}, text)
}

// Number writes n with a comma after every three digits.
func Number[T int | int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Bytes writes a number of bytes in binary units, with the exact number beside it when it is rounded.
func Bytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	size, prefix := float64(n), ""
	for _, prefix = range []string{"Ki", "Mi", "Gi", "Ti"} {
		size /= unit
		if size < unit {
			break
		}
	}
	return fmt.Sprintf("%.1f %sB (%s bytes)", size, prefix, Number(n))
}

// Duration writes a time span to a tenth of a second.
func Duration(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
