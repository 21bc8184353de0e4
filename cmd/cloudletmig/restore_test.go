package main_test

import (
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

// TestRestore restores a small account onto nothing; the same again, and the same with another journal, send nothing.
func TestRestore(t *testing.T) {
	t.Parallel()
	source := shopAccount(t)
	dir := snapshotOf(t, source)
	want := holdingOf(t, source).moved()
	l := newLab(t, simulator.Options{Account: emptyAccount(t), ActivationTime: 20 * time.Millisecond, BalancingTime: 20 * time.Millisecond}, simulator.ListenOptions{})
	args := hasty("restore", dir, "--group", "77", "--activate", "recorded")
	begun := time.Now()
	o := l.must(0, args...)
	t.Log(time.Since(begun), len(l.requests()), len(l.writes()), o.out)
	l.holds("restored", want)
}
