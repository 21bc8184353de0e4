package cli

import (
	"context"
	"path/filepath"
)

// playUpgrade gives the commands of the demonstration that are about upgrading legacy policies: the whole way from the plan
// to the report, on an account of which there is a backup.
func (d *demonstration) playUpgrade(ctx context.Context) error {
	plan, report, journal := filepath.Join(d.dir, "plan.csv"), filepath.Join(d.dir, "upgrade"), filepath.Join(d.dir, "upgrade.db")
	d.say("Legacy policies are to become shared ones. What becomes of each, and what is in the way? The plan is a file, and can be edited:")
	if err := d.run(ctx, exitIncomplete, "upgrade", "--type", "ER,AP,CD,ALB", "--name-template", "{name}_v3", "--group", "1234", "--activate", "same",
		"--dry-run", "--plan", plan); err != nil {
		return err
	}
	d.say("It is carried out: cloned, proved equal, activated. Half-way through, somebody presses Ctrl-C again.\n" +
		"(This simulated account takes 600 activations a minute; a real one takes 10.)")
	apply := []string{
		"upgrade", "--plan", plan, "--report", report, "--yes", "--activations-per-minute", "600", "--timeout", "5s", "--settle", "3s", "--checkpoint", journal,
	}
	half, interrupt := context.WithCancel(ctx)
	defer interrupt()
	d.server.Before(3, "/clone", interrupt)
	if err := d.run(half, exitInterrupted, apply...); err != nil {
		return err
	}
	d.say("The same command goes on. What is blocked is left out, and named:")
	if err := d.run(ctx, exitIncomplete, apply...); err != nil {
		return err
	}
	d.say("No legacy policy was touched: they are what the backup has.")
	if err := d.run(ctx, exitDone, "diff", filepath.Join(d.dir, "backup"), "live", "--api", "v2"); err != nil {
		return err
	}
	d.say("Somebody edits a legacy policy that was upgraded already. It is behind, and that is carried over:")
	const edited = 1001 // an Edge Redirector policy of the made-up account
	if _, err := d.server.Account().AddVersion(edited, "the next campaign",
		`[{"type":"erMatchRule","name":"next","statusCode":302,"redirectURL":"/next"}]`); err != nil {
		return err
	}
	if err := d.run(ctx, exitDifferences, "upgrade", "status", "--plan", plan); err != nil {
		return err
	}
	if err := d.runAny(ctx, []int{exitDone, exitIncomplete}, "upgrade", "--sync", "--plan", plan, "--activate", "same", "--report", report, "--yes",
		"--timeout", "5s", "--settle", "3s", "--checkpoint", journal); err != nil {
		return err
	}
	d.say("What remains to do in Property Manager is in upgrade/report.html. A backup of what there is now, verified:")
	after := filepath.Join(d.dir, "after")
	if err := d.run(ctx, exitDone, "export", after); err != nil {
		return err
	}
	return d.run(ctx, exitDone, "verify", after, "--live")
}
