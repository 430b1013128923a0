package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"
)

func noPassphraseFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-passphrase", Usage: "keep the signing key without a passphrase: whoever reads the file signs"}
}

// newPassphrase returns what a new signing key is to be kept under, by the
// environment or whoever sits at the terminal; nil: nothing, as the command line
// says.
func (s *session) newPassphrase(ctx context.Context, cmd *cli.Command) ([]byte, error) {
	if cmd.Bool("no-passphrase") {
		return nil, nil
	}
	hint := fmt.Sprintf("set %s, or --no-passphrase", envSigningPassphrase)
	if p, ok := os.LookupEnv(envSigningPassphrase); ok {
		if p == "" {
			return nil, &fault{kind: usage, text: envSigningPassphrase + " is empty", hint: hint}
		}
		return []byte(p), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, &fault{kind: usage, text: "the signing key wants a passphrase, and there is no terminal to ask at", hint: hint}
	}
	return s.askTwice(ctx)
}

func (s *session) askTwice(ctx context.Context) ([]byte, error) {
	first, err := s.ask(ctx, "passphrase for the signing key: ")
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return nil, &fault{kind: usage, text: "the passphrase is empty", hint: "--no-passphrase makes a key without one"}
	}
	again, err := s.ask(ctx, "the same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		return nil, usagef("the two passphrases differ")
	}
	return first, nil
}

// ask reads a line from the terminal that is not shown. When ctx ends it leaves
// the terminal as it was; the read itself ends with the process, since nothing
// else can end it.
func (s *session) ask(ctx context.Context, prompt string) ([]byte, error) {
	in := int(os.Stdin.Fd())
	before, err := term.GetState(in)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	fmt.Fprint(s.err, prompt)
	defer fmt.Fprintln(s.err)
	go func() {
		text, err := term.ReadPassword(in)
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return nil, fmt.Errorf("read passphrase: %w", a.err)
		}
		return a.text, nil
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(in, before))
	}
}
