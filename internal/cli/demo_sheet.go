package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// playSheet gives the commands of the demonstration that are about sheets: a made-up one, or the given file.
func (d *demonstration) playSheet(ctx context.Context, given string) error {
	sheet, want := given, []int{exitDone, exitIncomplete}
	if given == "" {
		sheet, want = filepath.Join(d.dir, "redirects.csv"), []int{exitIncomplete}
		if err := os.WriteFile(sheet, madeUpSheet(), 0o600); err != nil {
			return err
		}
		d.say("A redirect sheet, with some rows that nobody can want. They are named, and all others are converted and proved:")
	} else {
		d.say("A redirect sheet becomes rules, and each row is proved:")
	}
	converted := filepath.Join(d.dir, "converted")
	if err := d.runAny(ctx, want, "convert", sheet, "--out", converted, "--name", "demo", "--max-rules", "1000"); err != nil {
		return err
	}
	if given == "" {
		d.say("The rejected rows are a sheet that converts once it is mended:")
		rejected, err := os.ReadFile(filepath.Join(converted, "rejected.csv"))
		if err != nil {
			return err
		}
		fmt.Fprintf(d.a.out, "$ cat converted/rejected.csv\n%s", rejected)
		d.say("Where do these go? The property rules choose the policy.")
		if err := d.run(ctx, exitDone, "trace", "https://www.example.com/products/1234.html", "/Help/FAQ", "--rules", converted); err != nil {
			return err
		}
	}
	d.say("And back to a sheet, as Control Center has them:")
	return d.run(ctx, exitDone, "convert", "--to", "csv", filepath.Join(converted, "demo_001.json"), "--out", filepath.Join(d.dir, "demo_001.csv"))
}

// madeUpSheet is a sheet of some thousand redirects, most of them sound.
func madeUpSheet() []byte {
	var b bytes.Buffer
	b.WriteString("source,target,status\n")
	for n := range 5000 {
		fmt.Fprintf(&b, "/products/%d.html,/shop/product-%d,\n", n, n)
	}
	b.WriteString(`/Help/FAQ,/help,
/help/faq,/questions,
/a page with "quotes"?,/page,
"/say, ""hello""",/hello,302
/blog/*,https://blog.example.com/*,
/products/7.html,/shop/product-7,
/products/8.html,/elsewhere,
/egg,/hen,
/hen,/egg,
/news/*,/news/archive/*,
/gone,/,410
`)
	return b.Bytes()
}
