package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary the program itself when it is called cloudletmig, so that scripts run what users run:
// main in a process of its own, with signals, files and exit codes.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cloudletmig": func() { os.Exit(run()) }})
}
