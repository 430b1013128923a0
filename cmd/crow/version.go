package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v3"
)

// version is set by the linker: make build asks git for it.
var version string

// versionCommand is the command that tells which crow this is.
func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name:      "version",
		Usage:     "show which crow this is",
		ArgsUsage: " ",
		Action: a.action(0, func(_ context.Context, _ *cli.Command, s *session) error {
			if s.output == outputText {
				a.printVersion()
				return nil
			}
			return s.writeJSON(map[string]string{
				"version": crowVersion(), "go": runtime.Version(), "platform": platform(),
			})
		}),
	}
}

func (a *app) printVersion() {
	fmt.Fprintf(a.std.out, "crow %s (%s, %s)\n", crowVersion(), runtime.Version(), platform())
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// crowVersion is what the linker was told, else what go build or go install
// recorded.
func crowVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(len(s.Value), 12)]
		}
	}
	return "devel"
}
