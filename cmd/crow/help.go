package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v3"
)

// help is what other programs call their --help, and shows the same: the library's
// own command would word it in other ways.
func (a *app) help() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "show help, of a command too",
		ArgsUsage: "[COMMAND]...",
		Hidden:    true, // each help tells of --help
		HideHelp:  true,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if cmd.Bool("help") {
				return a.guard(0, nil)(ctx, cmd)
			}
			about := cmd.Root()
			for _, name := range cmd.Args().Slice() {
				next := about.Command(name)
				if next == nil {
					return &fault{kind: usage, text: fmt.Sprintf("unknown command %q", name), hint: orHelp(meant(name, commandNames(about)), about)}
				}
				about = next
			}
			// The library takes the command in ctx for the parent of the new root.
			return a.root().Run(context.Background(), slices.Concat([]string{"crow"}, cmd.Args().Slice(), []string{"--help"}))
		},
	}
}
