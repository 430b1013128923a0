package main

import (
	"context"
	_ "embed" // for bashScript
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
)

// shells are those that completion scripts are kept for.
var shells = []string{"bash", "zsh", "fish"}

// bashScript stands in for the library's, which evaluates the words that were
// typed, and so runs the $(commands) in them; it also needs a package that many
// servers lack. The library's scripts for zsh and fish do neither.
//
//go:embed completion/crow.bash
var bashScript string

const completionHelp = `Prints a script that makes a shell complete crow's commands and flags:

bash:  source <(crow completion bash)
zsh:   source <(crow completion zsh)
fish:  crow completion fish | source`

// completion narrows the library's completion command to what crow promises.
func (a *app) completion(cmd *cli.Command) {
	cmd.Usage = "print a completion script for bash, zsh or fish"
	cmd.ArgsUsage = strings.Join(shells, "|")
	cmd.Description = completionHelp
	cmd.Hidden = false
	cmd.OnUsageError = usageErrorOf
	cmd.Commands = slices.DeleteFunc(cmd.Commands, func(c *cli.Command) bool { return !slices.Contains(shells, c.Name) })
	for _, shell := range cmd.Commands {
		shell.OnUsageError = usageErrorOf
		if shell.Name == "bash" {
			shell.Action = a.printBash
		}
		shell.Action = a.guard(0, shell.Action)
	}
	cmd.Action = a.guard(1, func(context.Context, *cli.Command) error {
		return usagef("completion: which shell? want one of %s", strings.Join(shells, ", "))
	})
}

func (a *app) printBash(context.Context, *cli.Command) error {
	fmt.Fprint(a.std.out, bashScript)
	return nil
}
