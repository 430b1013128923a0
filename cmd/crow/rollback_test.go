package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"crow/internal/control"
)

func TestVersionBefore(t *testing.T) {
	began := func(deploy, version string) control.HistoryEntry {
		return control.HistoryEntry{Action: control.ActionDeploy, Deploy: deploy, Version: version, Result: control.ResultOK}
	}
	back := func(deploy, version string) control.HistoryEntry {
		return control.HistoryEntry{Action: control.ActionRollback, Deploy: deploy, Version: version, Result: control.ResultOK}
	}
	ended := func(deploy, version, phase string) control.HistoryEntry {
		return control.HistoryEntry{Action: control.ActionEnded, Deploy: deploy, Version: version, Result: phase}
	}
	refused := control.HistoryEntry{Action: control.ActionDeploy, Version: "0.1", Result: "refused"}
	push := control.HistoryEntry{Action: control.ActionPush, Version: "9.0", Result: control.ResultOK}
	for _, c := range []struct {
		name    string
		history []control.HistoryEntry // newest first
		want    string
	}{
		{"nothing", nil, ""},
		{"one deploy", []control.HistoryEntry{ended("1", "1.0", "succeeded"), began("1", "1.0")}, ""},
		{"two", []control.HistoryEntry{ended("2", "2.0", "succeeded"), began("2", "2.0"), ended("1", "1.0", "succeeded"), began("1", "1.0")}, "1.0"},
		{"the newest failed", []control.HistoryEntry{ended("2", "2.0", "failed"), began("2", "2.0"), ended("1", "1.0", "succeeded"), began("1", "1.0")}, "1.0"},
		{"the newest runs", []control.HistoryEntry{began("2", "2.0"), ended("1", "1.0", "succeeded"), began("1", "1.0")}, "1.0"},
		{"one between failed", []control.HistoryEntry{ended("3", "3.0", "succeeded"), began("3", "3.0"), ended("2", "2.0", "failed"), began("2", "2.0"), ended("1", "1.0", "succeeded"), began("1", "1.0")}, "1.0"},
		{"the same twice", []control.HistoryEntry{ended("3", "2.0", "succeeded"), began("3", "2.0"), ended("2", "2.0", "succeeded"), began("2", "2.0"), ended("1", "1.0", "succeeded"), began("1", "1.0")}, "1.0"},
		{"a rollback that failed", []control.HistoryEntry{ended("3", "1.0", "failed"), back("3", "1.0"), ended("2", "2.0", "succeeded"), began("2", "2.0"), ended("1", "1.0", "succeeded"), began("1", "1.0")}, "1.0"},
		{"a rollback that succeeded is undone", []control.HistoryEntry{ended("3", "1.0", "succeeded"), back("3", "1.0"), ended("2", "2.0", "succeeded"), began("2", "2.0"), ended("1", "1.0", "succeeded")}, "2.0"},
		{"the newest was only fetched", []control.HistoryEntry{ended("fetch", "3.0", "succeeded"), began("fetch", "3.0"), ended("2", "2.0", "succeeded"), began("2", "2.0"), ended("1", "1.0", "succeeded"), began("1", "1.0")}, "1.0"},
		{"one between was only fetched", []control.HistoryEntry{ended("3", "1.0", "succeeded"), began("3", "1.0"), ended("fetch", "2.0", "succeeded"), began("fetch", "2.0"), ended("1", "0.9", "succeeded"), began("1", "0.9")}, "0.9"},
		{"what was refused or only pushed", []control.HistoryEntry{push, refused, ended("2", "2.0", "succeeded"), began("2", "2.0"), ended("1", "1.0", "succeeded"), began("1", "1.0")}, "1.0"},
	} {
		got, err := versionBefore(c.history, func(deploy string) (bool, error) { return strings.HasPrefix(deploy, "fetch"), nil })
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	if _, err := versionBefore([]control.HistoryEntry{began("1", "1.0")}, func(string) (bool, error) { return false, io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("a deploy of which nothing is known: %v", err)
	}
}
