package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hangRole is a bench that makes a network and a folder, says so, and hangs.
const hangRole = "hang"

func hang(args []string) error {
	n, err := newNetwork(context.Background(), 1)
	if err != nil {
		return err
	}
	dir, lock, err := workFolder(args[0])
	if err != nil {
		return err
	}
	defer lock.Close()
	fmt.Println(n.bridge(), dir)
	_, err = io.Copy(io.Discard, os.Stdin) // until it is killed, or the test is gone
	return err
}

// What a killed bench left is gone once the next one begins; what one that is at
// work has stays.
func TestLeftovers(t *testing.T) {
	needNamespaces(t)
	work := t.TempDir()
	killed := exec.Command(os.Args[0], hangRole, work)
	out, err := killed.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := killed.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Error(err)
	}
	kill := func() {
		_ = killed.Process.Kill()
		_ = killed.Wait()
	}
	defer kill()
	own, lock, err := workFolder(work)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	tidied := func() string {
		var errs strings.Builder
		inspect(context.Background(), "crow").tidy(context.Background(), work, &errs)
		return errs.String()
	}
	if said := tidied(); said != "" {
		t.Errorf("all are at work: %s", said)
	}
	kill()
	if told := tidied(); !strings.Contains(told, " network namespaces") || !strings.Contains(told, strings.Fields(said)[1]) {
		t.Errorf("told %q of %s", told, said)
	}
	list, err := command(context.Background(), "ip", "netns", "list")
	if err != nil || strings.Contains(list, strings.Fields(said)[0]) {
		t.Errorf("namespaces are left: %s, %v", list, err)
	}
	if left, err := filepath.Glob(work + "/*"); err != nil || len(left) != 1 || left[0] != own {
		t.Errorf("folders: %v, %v", left, err)
	}
}

// Who is not root has the files of a --scale that was killed cleared.
func TestLeftoversWithoutRoot(t *testing.T) {
	work := t.TempDir()
	dir, lock, err := workFolder(work)
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	tidied := func() string {
		errs.Reset()
		inspection{leftBehind: []string{"none-of-ours"}}.tidy(t.Context(), work, &errs)
		return errs.String()
	}
	if said := tidied(); said != "" {
		t.Errorf("it is at work: %s", said)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if said := tidied(); said != fmt.Sprintf("bench: removed what a bench left that was killed: %s\n", dir) {
		t.Errorf("told %q", said)
	}
}
