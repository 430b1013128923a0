package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"crow/internal/release"
)

// badValue words a value of a flag that the library could not read: it tells of its
// own parser, and not of what is wanted. False is another error.
func badValue(cmd *cli.Command, text string) (words string, ok bool) {
	text, ok = strings.CutPrefix(text, "invalid value ")
	if !ok {
		return "", false
	}
	value, rest, _ := strings.Cut(text, " for flag -")
	name, _, _ := strings.Cut(rest, ": ")
	for _, c := range cmd.Lineage() {
		for _, flag := range c.Flags {
			if want := wantedOf(flag); want != "" && slices.Contains(flag.Names(), name) {
				return fmt.Sprintf("--%s %s: want %s", name, value, want), true
			}
		}
	}
	return "", false
}

// wantedOf is what a flag takes that the library reads; empty is anything.
func wantedOf(flag cli.Flag) string {
	switch flag.(type) {
	case *cli.IntFlag:
		return "a whole number, such as 5"
	case *cli.DurationFlag:
		return "a time with its unit, such as 30s, 10m or 2h"
	case *cli.BoolFlag:
		return wantedSwitch
	}
	return ""
}

const wantedSwitch = "true or false"

// badVariable is badValue for the environment, where only switches are read by the
// library.
func badVariable(text string) (words string, ok bool) {
	value, rest, ok := strings.Cut(text, " as bool value from environment variable ")
	if !ok {
		return "", false
	}
	name, _, _ := strings.Cut(rest, " for flag ")
	return fmt.Sprintf("%s %s: want %s", strings.Trim(name, `"`), strings.TrimPrefix(value, "could not parse "), wantedSwitch), true
}

// ofFlag words what makes no sense of a rollout by the flag that asks for it, if one
// does, and not by the name that files have for it.
func ofFlag(cmd *cli.Command, err error) error {
	wrong, ok := errors.AsType[*release.RolloutError](err)
	if !ok {
		return err
	}
	flag := strings.ReplaceAll(wrong.Field, "_", "-")
	if !cmd.IsSet(flag) {
		return err
	}
	text := strings.TrimSpace(fmt.Sprintf("--%s %s", flag, wrong.Value))
	if typed := cmd.String(flag); flag == "wave" && typed != wrong.Value { // one share of several
		text = fmt.Sprintf("--wave %.80s: %s", typed, wrong.Value)
	}
	return &fault{kind: usage, text: text + ": " + wrong.Problem, cause: err}
}
