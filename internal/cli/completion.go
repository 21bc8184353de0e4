package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that makes a shell complete commands and flags",
		Example: `  source <(cloudletmig completion bash)
  cloudletmig completion zsh > "${fpath[1]}/_cloudletmig"
  cloudletmig completion fish > ~/.config/fish/completions/cloudletmig.fish`,
		Args: exactly("bash, zsh or fish"), ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			}
			return &usageError{text: fmt.Sprintf("completion for %q is not known", args[0]), hint: "give bash, zsh or fish"}
		},
	}
}

func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return &usageError{text: fmt.Sprintf("there is no command %q", strings.Join(args, " ")), hint: "cloudletmig --help lists the commands"}
			}
			return about.Help()
		},
	}
}
