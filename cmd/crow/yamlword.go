package main

import (
	"errors"

	"github.com/goccy/go-yaml/ast"
)

// word is a plain value as it is written. YAML has numbers, and the version 1.10 is
// not 1.1.
type word string

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (w *word) UnmarshalYAML(n ast.Node) error {
	text, ok := plainText(n)
	if !ok {
		return errors.New("want a plain value")
	}
	*w = word(text)
	return nil
}

// words are a plain value, or a list of them.
type words []string

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (w *words) UnmarshalYAML(n ast.Node) error {
	*w = nil
	nodes := []ast.Node{n}
	if list, ok := n.(*ast.SequenceNode); ok {
		nodes = list.Values
	}
	for _, one := range nodes {
		text, ok := plainText(one)
		if !ok {
			return errors.New("want a plain value, or a list of them")
		}
		*w = append(*w, text)
	}
	return nil
}

// plainText is what stands in the file for a plain value.
func plainText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}
