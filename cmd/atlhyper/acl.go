package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/atlhyper/observe/redis/acl"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// aclCmd takes nothing from the environment: a password that is set there is meant
// for an agent or a master.
type aclCmd struct {
	Cluster string `help:"The user of this cluster's agents." placeholder:"ID" xor:"who" required:"" env:"-"`
	Master  bool   `help:"The user of the masters." xor:"who" required:"" env:"-"`
	Inspect bool   `help:"A user for the inspect command, who can read everything and change nothing." xor:"who" required:"" env:"-"`

	User         string `help:"Its name; by default atlhyper-agent-<cluster>, atlhyper-master or atlhyper-inspect." placeholder:"NAME" env:"-"`
	PasswordFile string `help:"File with its password, of which the SHA-256 is printed; - for standard input." placeholder:"PATH" xor:"password" env:"-"`
	PasswordHash string `help:"SHA-256 of its password, in hex." placeholder:"HEX" xor:"password" env:"-"`
	Nopass       bool   `help:"Let it in without a password." xor:"password" env:"-"`
	ShowPassword bool   `help:"Print the password itself, not its SHA-256." env:"-"`

	Topology string `help:"single, sentinel or cluster: how the servers of Redis stand to each other." enum:"single,sentinel,cluster" default:"single" env:"-"`
	Format   string `help:"command, for redis-cli, or aclfile, a line of Redis's ACL file." enum:"command,aclfile" default:"command" env:"-"`
}

// maxPassword bounds a password file, in bytes.
const maxPassword = 4 << 10

// Run prints the line to standard output, to be piped into redis-cli, and what to
// know besides to standard error.
func (c *aclCmd) Run() error { return c.print(os.Stdin, os.Stdout, os.Stderr) }

func (c *aclCmd) print(stdin io.Reader, out, notes io.Writer) error {
	password, err := c.password(stdin)
	if err != nil {
		return err
	}
	cfg := acl.Config{
		Role: acl.Agent, Cluster: key.Cluster(c.Cluster), User: c.User, Password: password, Topology: conn.Topology(c.Topology),
	}
	switch {
	case c.Master:
		cfg.Role = acl.Master
	case c.Inspect:
		cfg.Role = acl.Inspect
	}
	rules, err := acl.SetUser(cfg)
	if err != nil {
		return err
	}
	command := "ACL SETUSER "
	if c.Format == "aclfile" {
		command = "user "
	}
	line := command + strings.Join(rules, " ") + "\n"
	if _, err := io.WriteString(out, line); err != nil {
		return fmt.Errorf("acl: print: %w", err)
	}
	if password == "" {
		line = "Put the SHA-256 of the password in place of the placeholder, or give --password-file.\n"
		if _, err := io.WriteString(notes, line); err != nil {
			return fmt.Errorf("acl: print: %w", err)
		}
	}
	return c.note(notes, command)
}

func (c *aclCmd) password(stdin io.Reader) (acl.Password, error) {
	if c.ShowPassword && c.PasswordFile == "" {
		return "", errors.New("acl: --show-password needs --password-file")
	}
	switch {
	case c.Nopass:
		return acl.NoPassword, nil
	case c.PasswordHash != "":
		return acl.HashOf(c.PasswordHash)
	case c.PasswordFile == "":
		return "", nil
	}
	text, err := readPassword(c.PasswordFile, stdin)
	if err != nil {
		return "", err
	}
	if c.ShowPassword {
		return acl.Plain(text)
	}
	return acl.Hash(text), nil
}

func readPassword(path string, stdin io.Reader) (_ string, err error) {
	source := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("acl: password file: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		source = f
	}
	text, err := io.ReadAll(io.LimitReader(source, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("acl: password file: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" || len(text) > maxPassword {
		return "", fmt.Errorf("acl: password file: does not hold 1 to %d bytes", maxPassword)
	}
	return password, nil
}

// note says where else the line belongs.
func (c *aclCmd) note(w io.Writer, command string) error {
	var text string
	switch conn.Topology(c.Topology) {
	case conn.Cluster:
		text = "Users are not replicated: run it on every server of the cluster, replicas too.\n"
	case conn.Sentinel:
		rules, err := acl.SetSentinelUser("", "")
		if err != nil {
			return err
		}
		text = "Users are not replicated: run it on the primary and on every replica.\n" +
			"Sentinels have users of their own; where theirs need a password, on every Sentinel:\n" +
			command + strings.Join(rules, " ") + "\n"
	case conn.Single:
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("acl: print: %w", err)
	}
	return nil
}
