package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// version is that of the next release; CHANGELOG.md says what is in it.
const version = "0.1.0"

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			a.document = map[string]any{"command": "version", "version": version, "go": runtime.Version()}
			if a.global.Output == "text" {
				_, err := fmt.Fprintf(a.out, "cloudletmig %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
				return err
			}
			return nil
		},
	}
}
