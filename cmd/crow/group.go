package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
)

// group makes a command that does nothing itself but has commands of its own,
// such as crow cert issue.
func (a *app) group(name, usage string, commands ...*cli.Command) *cli.Command {
	g := &cli.Command{Name: name, Usage: usage, ArgsUsage: " ", Commands: commands, HideHelp: true, Action: a.groupAction}
	for _, cmd := range commands {
		cmd.HideHelp = true
		cmd.OnUsageError = usageErrorOf
		cmd.DisableSliceFlagSeparator = true // as root has it for the others
	}
	return g
}

func (a *app) groupAction(_ context.Context, cmd *cli.Command) error {
	if cmd.Bool("help") {
		cli.HelpPrinter(a.std.out, cli.SubcommandHelpTemplate, cmd)
		return nil
	}
	names := commandNames(cmd)
	f := &fault{text: fmt.Sprintf("%s: which command? want one of %s", cmd.Name, strings.Join(names, ", "))}
	if name := cmd.Args().First(); name != "" && !slices.Contains(names, name) {
		f.text, f.hint = fmt.Sprintf("%s: unknown command %q", cmd.Name, name), meant(name, names)
	}
	f.kind, f.hint = usage, orHelp(f.hint, cmd)
	return f
}
