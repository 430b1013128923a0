package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"
)

// app is one run of the command line.
type app struct {
	std     streams
	results *resultWriter // std.out
	reached bool          // a command's action has begun: what fails now is no usage error
}

func newApp(std streams) *app {
	results := &resultWriter{w: std.out}
	std.out = results
	return &app{std: std, results: results}
}

// run parses args and runs the command that they name. Whatever fails before
// the command itself begins is the command line's fault.
func (a *app) run(ctx context.Context, args []string) error {
	err := a.root().Run(ctx, args)
	if a.results.lost(err) {
		return fmt.Errorf("write result: %w", a.results.err)
	}
	if err != nil && !a.reached {
		return asUsage(err)
	}
	return err
}

// root builds the tree of commands anew, since the library keeps parsed
// values in it.
func (a *app) root() *cli.Command {
	root := &cli.Command{
		Name:      "crow",
		Usage:     "carry a build to every server of a fleet, and set it live there",
		ArgsUsage: " ",
		Flags:     append(globalFlags(), &cli.BoolFlag{Name: "version", Usage: "print the version", Local: true}),
		Writer:    a.std.out,
		ErrWriter: a.std.err,
		// The library would exit, print or offer help in ways of its own.
		ExitErrHandler:                  func(context.Context, *cli.Command, error) {},
		HideHelp:                        true,
		HideVersion:                     true,
		EnableShellCompletion:           true,
		ConfigureShellCompletionCommand: a.completion,
		Action:                          a.rootAction,
		Commands: []*cli.Command{
			a.push(), a.deploy(), a.rollback(), a.sign(), a.manifest(), a.status(), a.pause(), a.resume(), a.retry(), a.abort(), a.history(), a.hosts(), a.forget(), a.limits(), a.releases(),
			a.demo(), a.initFleet(), a.cert(), a.key(),
			a.seeder(), a.peer(), a.tracker(),
			a.versionCommand(), a.help(),
		},
	}
	for _, cmd := range append(root.Commands, root) {
		cmd.OnUsageError = usageErrorOf
		cmd.DisableSliceFlagSeparator = true // a comma in --target means "and"
	}
	return root
}

// globalFlags stand before or after the command's name.
func globalFlags() []cli.Flag {
	str := func(name, usage string) cli.Flag {
		env := "CROW_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		return &cli.StringFlag{Name: name, Usage: usage, Sources: cli.EnvVars(env)}
	}
	return []cli.Flag{
		str("config", "YAML config `FILE`"),
		str("seeder", "`URL` of the seeder (default: "+defaultSeeder+")"),
		str("output", "form of the result: text, json or jsonl (default: text)"),
		str("progress", "form of the progress: auto, tty, plain or none (default: auto)"),
		str("log-level", "debug, info, warn or error (default: info for daemons, else warn)"),
		&cli.BoolFlag{Name: "quiet", Usage: "show results and errors only", Sources: cli.EnvVars("CROW_QUIET")},
		&cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show help"},
	}
}

func (a *app) rootAction(_ context.Context, cmd *cli.Command) error {
	switch {
	case cmd.Bool("version"):
		a.printVersion()
		return nil
	case cmd.Args().Present():
		name := cmd.Args().First()
		return &fault{kind: usage, text: fmt.Sprintf("unknown command %q", name), hint: orHelp(meant(name, commandNames(cmd)), cmd)}
	}
	return cli.ShowRootCommandHelp(cmd)
}

// action is what a command does once its settings are known.
type action func(ctx context.Context, cmd *cli.Command, s *session) error

// action makes do a client command's action: it takes its settings from a
// --config file too, and at most maxArgs arguments.
func (a *app) action(maxArgs int, do action) cli.ActionFunc {
	return a.guard(maxArgs, func(ctx context.Context, cmd *cli.Command) error {
		file, err := readClientConfig(cmd.String("config"))
		if err != nil {
			return err
		}
		s, err := a.session(cmd, file, "warn")
		if err != nil {
			return err
		}
		a.reached = true
		return do(ctx, cmd, s)
	})
}

// guard answers --help and refuses surplus arguments before do.
func (a *app) guard(maxArgs int, do cli.ActionFunc) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		if cmd.Bool("help") {
			cli.HelpPrinter(a.std.out, cli.CommandHelpTemplate, cmd)
			return nil
		}
		if n := cmd.Args().Len(); n > maxArgs {
			return usagef("%s: unexpected argument %q", cmd.Name, cmd.Args().Get(maxArgs))
		}
		return do(ctx, cmd)
	}
}

// commandNames are the names that a user may have meant.
func commandNames(root *cli.Command) []string {
	var names []string
	for _, cmd := range root.VisibleCommands() {
		names = append(names, cmd.Name)
	}
	return names
}

// usageErrorOf rewords the library's parse errors: it knows them by their text
// only.
func usageErrorOf(_ context.Context, cmd *cli.Command, err error, _ bool) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		return &fault{
			kind: usage, text: fmt.Sprintf("unknown flag --%s", name),
			hint: orHelp(meant(name, flagNames(cmd)), cmd),
		}
	}
	if flag, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		text = fmt.Sprintf("flag %s needs a value", flag)
	}
	if words, ok := badValue(cmd, text); ok {
		text = words
	}
	return &fault{kind: usage, text: text, hint: orHelp("", cmd)}
}

func orHelp(hint string, cmd *cli.Command) string {
	if hint != "" {
		return hint
	}
	return cmd.FullName() + " --help"
}

func flagNames(cmd *cli.Command) []string {
	var names []string
	for _, c := range cmd.Lineage() {
		for _, flag := range c.Flags {
			names = append(names, "--"+flag.Names()[0])
		}
	}
	return names
}
