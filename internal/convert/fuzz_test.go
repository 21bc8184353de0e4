package convert_test

import (
	"errors"
	"path/filepath"
	"testing"

	"cloudletmig/internal/convert"
)

// FuzzConvert: no bytes make a panic, a failed proof, or a conversion of nothing.
func FuzzConvert(f *testing.F) {
	for _, seed := range []string{
		"source,target\n/a,/b\n", "/a;/b;302\n/c;/d;301\n", "matchURL,result.redirectURL,path,query\n,/b,/a /c,!x=1\n", "\xef\xbb\xbffrom\tto\n/a\t/b\n",
		"source,target,regex\n,/t/\\1,/(a)\n", "source,target\n\"/a\n,/b\n", "source,target\n/%2,/é\n/a*b/*,/*\n", "a\x00b", "source,target\n/a?x=1&x=2,/b#c\n",
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(0xff))
	}
	f.Fuzz(func(t *testing.T, doc []byte, how uint8) {
		out := attempt(t.Context(), t, filepath.Join(t.TempDir(), "out"), func(o *convert.Options) {
			o.Workers, o.MaxRules, o.NoProof = 2, 5, true // the proof of criteria that nothing meets fails (witness.go)
			for i, set := range []func(){
				func() { o.Scheme = convert.SchemeKeep }, func() { o.Wildcards = convert.WildcardsAll }, func() { o.Fragment = convert.FragmentDrop },
				func() { o.Slash = convert.SlashBoth }, func() { o.Query = convert.QueryKeep }, func() { o.Duplicates = convert.DuplicatesLast },
				func() { o.Order = convert.OrderSpecific }, func() { o.Split = convert.SplitHost },
			} {
				if how>>i&1 != 0 {
					set()
				}
			}
		}, string(doc))
		if out.Err != nil {
			if out.Err.Error() == "" {
				t.Error("an error without words")
			}
			if errors.Is(out.Err, convert.ErrUnproved) {
				t.Error(out.Err)
			}
			return
		}
		rows := out.Report.Rows
		if rows.Converted == 0 || rows.Read != rows.Converted+rows.Duplicates+rows.Rejected || len(out.rules(t)) < rows.Converted {
			t.Errorf("%q: %+v and %d rules", doc, rows, len(out.rules(t)))
		}
	})
}
