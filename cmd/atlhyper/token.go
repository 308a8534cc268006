package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/shared/readfile"
)

// tokenCmd is about the file of a master's --tokens-file.
type tokenCmd struct {
	New   tokenNewCmd   `cmd:"" help:"Make a token. It is printed on standard output, once; what the masters need to know of it is not secret, and goes to a file or to standard error."`
	Check tokenCheckCmd `cmd:"" help:"Say whom a file of tokens names, or what is wrong with it."`
}

type tokenNewCmd struct {
	Name     string   `required:"" help:"Who presents it: a person or a program. It stands in the audit log." placeholder:"NAME" env:"-"`
	Role     string   `required:"" enum:"viewer,operator" help:"viewer: dashboards and lists; operator: also traces, logs and other details." placeholder:"viewer|operator" env:"-"`
	Clusters []string `required:"" help:"Clusters that exist for it: ids, in which * and ? stand for any characters and for one." placeholder:"ID,..." env:"-"`
	Expires  string   `default:"90d" help:"When it ends: after a time such as 12h or 90d, at one such as 2027-01-02T15:04:05Z, or never." env:"-"`
	File     string   `help:"Add the entry to this file of tokens, which need not exist." type:"path" placeholder:"PATH" env:"-"`
}

// Run makes the token.
func (c *tokenNewCmd) Run(s streams) error {
	expires, err := parseExpiry(c.Expires, time.Now())
	if err != nil {
		return fmt.Errorf("token: expires: %w", err)
	}
	token, entry, err := access.NewToken(access.TokenEntry{Name: c.Name, Role: c.Role, Clusters: c.Clusters}, expires)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	if c.File != "" {
		err = addTo(c.File, entry)
	} else {
		err = show(s, entry)
	}
	// Only now: a token that no file knows is of no use.
	if err == nil {
		_, err = fmt.Fprintln(s.out, token)
	}
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	return nil
}

// parseExpiry returns when a token ends; zero: never.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "never" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		if !at.After(now) {
			return time.Time{}, fmt.Errorf("%s is over", text)
		}
		return at, nil
	}
	after, err := api.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%.40q is no time such as 2027-01-02T15:04:05Z, none such as 90d, and not never", text)
	}
	return now.Add(after), nil
}

// show prints the entry for somebody who puts it into the file.
func show(s streams, entry access.TokenEntry) error {
	text, err := entry.YAML()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.notes, "# An entry for the list \"tokens\" of the file of tokens:\n%s", text)
	return err
}

type tokenCheckCmd struct {
	File string `arg:"" help:"The file of tokens." type:"path"`
}

// Run prints a line for each token.
func (c *tokenCheckCmd) Run(s streams) error {
	data, err := readfile.Regular(c.File, access.MaxTokensFile)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	set, err := access.ParseTokens(data)
	if err != nil {
		return fmt.Errorf("token: %s: %w", c.File, err)
	}
	list := newTable("NAME", "ROLE", "CLUSTERS", "EXPIRES")
	for _, caller := range set.Callers() {
		list.add(caller.Name, caller.Role, strings.Join(caller.Clusters.Globs(), ","), expiryOf(caller, time.Now()))
	}
	return list.write(s.out)
}

func expiryOf(caller *access.Caller, now time.Time) string {
	switch at := caller.Expires; {
	case at.IsZero():
		return "never"
	case !now.Before(at):
		return "expired " + at.UTC().Format(time.RFC3339)
	default:
		return at.UTC().Format(time.RFC3339)
	}
}
