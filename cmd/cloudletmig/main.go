// Command cloudletmig moves Akamai Cloudlets policies in bulk.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"cloudletmig/internal/cli"
)

// heapGrowth is how much the heap may grow before it is collected, in percent. Of an export most of the heap is documents
// on their way to disk, which cost the collector nothing; a command that changes an account holds one version for each
// worker, makes many small objects of it, and would collect a heap of a few megabytes hundreds of times a second.
func heapGrowth(args []string) int {
	if len(args) > 0 && slices.Contains([]string{"import", "restore", "upgrade"}, args[0]) {
		return 200
	}
	return 25
}

func main() { os.Exit(run()) }

func run() int {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(heapGrowth(os.Args[1:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	return cli.Run(ctx, os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr)
}
