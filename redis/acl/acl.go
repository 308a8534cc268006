// Package acl says what the users of agents, masters and those who only look must be
// allowed in Redis: exactly the commands that they send, and that their scripts call, on
// the keys and channels that are theirs. Its test, and that of redis/inspect, drops each
// right in turn and sees that it is missed; who sends a new command adds it here.
package acl

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// Role is who the user is.
type Role string

// The roles.
const (
	Agent  Role = "agent"
	Master Role = "master"
	// Inspect is who looks at what is there, of all clusters, and can change nothing.
	Inspect Role = "inspect"
)

// Config says whose rights are wanted.
type Config struct {
	// Role of the user. Required.
	Role Role
	// Cluster whose agents they are. Required for Agent.
	Cluster key.Cluster
	// User is its name. "" means atlhyper-agent-<cluster>, atlhyper-master or
	// atlhyper-inspect.
	User string
	// Password is what it logs in with: one of Hash, Plain, NoPassword. "" means a
	// placeholder that Redis refuses.
	Password Password
	// Topology is how the servers stand to each other. "" means conn.Single.
	Topology conn.Topology
}

// Password is a rule about the password.
type Password string

// NoPassword lets anyone in who names the user.
const NoPassword Password = "nopass"

// placeholder is no rule: whoever forgets to replace it creates no user.
const placeholder Password = "#SHA256-OF-THE-PASSWORD-IN-HEX"

// Hash is the rule for a password that does not show it.
func Hash(password string) Password {
	sum := sha256.Sum256([]byte(password))
	return Password("#" + hex.EncodeToString(sum[:]))
}

// HashOf is the rule for a password whose SHA-256 is known, in hex.
func HashOf(sum string) (Password, error) {
	sum = strings.ToLower(sum)
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size {
		return "", errors.New("acl: the password's hash is not 64 hexadecimal digits")
	}
	return Password("#" + sum), nil
}

// Plain is the rule that shows the password. It must have no spaces or quotes, which
// redis-cli and ACL files would take apart.
func Plain(password string) (Password, error) {
	for _, c := range []byte(password) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\'' || c == '\\' {
			return "", errors.New("acl: the password has a character that a line cannot hold; use its hash")
		}
	}
	if password == "" {
		return "", errors.New("acl: the password is empty")
	}
	return Password(">" + password), nil
}

// grant is one right: commands, as ACL rules name them, and what they are for.
type grant struct {
	why      string
	commands string
	role     Role          // "" for all
	topology conn.Topology // "" for all
}

// grants is the table. In scripts are commands that only scripts call.
func grants() []grant {
	return []grant{
		{why: "a connection's name", commands: "client|setname"},
		{why: "a subscription's health", commands: "ping"},
		{why: "Redis's clock", commands: "time"},
		{why: "scripts, by digest or in full", commands: "evalsha eval"},
		{why: "the map of slots", commands: "cluster|slots", topology: conn.Cluster},

		{role: Agent, why: "in scripts: publish and beat", commands: "hset hdel hget hmget hgetall hlen del pexpire publish"},
		{role: Agent, why: "take commands", commands: "blmove llen lmove lrange"},
		{role: Agent, why: "answer or drop one", commands: "lrem set rpush"},
		{role: Agent, why: "hear of cancels", commands: "subscribe"},
		{role: Agent, why: "in scripts: take back and hand back", commands: "lpush pttl"},
		{role: Agent, why: "in scripts: leave", commands: "exists"},

		{role: Master, why: "in scripts: push a command or take it back", commands: "hvals llen rpush pexpire pttl lrem publish strlen get"},
		{role: Master, why: "fetch and delete replies, in a script", commands: "lindex unlink"},
		{role: Master, why: "hear of replies and events", commands: "psubscribe"},
		{role: Master, why: "in scripts: read snapshots and agents, of bounded length", commands: "hlen hkeys hstrlen hget hmget hgetall"},
		{role: Master, why: "keep the list of clusters", commands: "scan zadd zremrangebyscore zrevrange zscore zmscore"},

		// Of these none may write.
		{role: Inspect, why: "in scripts: read snapshots and agents, of bounded length", commands: "hlen hkeys hstrlen hget hmget hgetall"},
		{role: Inspect, why: "find clusters, and lists of agents that are gone", commands: "scan zrevrange zscore"},
		{role: Inspect, why: "in scripts: read commands and replies, of bounded length", commands: "llen lindex get"},
		{role: Inspect, why: "hear of replies and cancels", commands: "subscribe psubscribe"},
	}
}

// Commands are the rules without their plus signs.
func Commands(role Role, topology conn.Topology) []string {
	var out []string
	for _, g := range grants() {
		if (g.role == "" || g.role == role) && (g.topology == "" || g.topology == topology) {
			out = append(out, strings.Fields(g.commands)...)
		}
	}
	return out
}

// SetUser is what follows ACL SETUSER: the user's name and the rules, which replace
// all that it had.
func SetUser(cfg Config) ([]string, error) {
	// Redis compares the pattern of PSUBSCRIBE with those that are granted as text, and
	// a replica's pattern holds its name; so masters may hear every channel, and who looks
	// hears what they hear. One channel for each cluster and replica could be granted, but is
	// a subscription for each cluster; one for all replicas tells each of them what is for
	// others.
	keys, channels := key.Namespace+"*", "*"
	switch cfg.Role {
	case Agent:
		if err := key.ValidateCluster(string(cfg.Cluster)); err != nil {
			return nil, fmt.Errorf("acl: %w", err)
		}
		keys, channels = cfg.Cluster.Pattern(), cfg.Cluster.Pattern()
		if cfg.User == "" {
			cfg.User = "atlhyper-agent-" + string(cfg.Cluster)
		}
	case Master, Inspect:
		if cfg.Cluster != "" {
			return nil, fmt.Errorf("acl: the user of role %s is for all clusters", cfg.Role)
		}
		if cfg.User == "" {
			cfg.User = "atlhyper-" + string(cfg.Role)
		}
	default:
		return nil, fmt.Errorf("acl: unknown role %.20q", string(cfg.Role))
	}
	if err := validateUser(cfg.User); err != nil {
		return nil, err
	}
	if cfg.Password == "" {
		cfg.Password = placeholder
	}
	switch cfg.Topology {
	case "", conn.Single, conn.Sentinel, conn.Cluster:
	default:
		return nil, fmt.Errorf("acl: unknown topology %.20q", string(cfg.Topology))
	}
	rules := []string{cfg.User, "reset", "on", string(cfg.Password), "resetkeys", "resetchannels", "-@all", "~" + keys, "&" + channels}
	for _, command := range Commands(cfg.Role, cfg.Topology) {
		rules = append(rules, "+"+command)
	}
	return rules, nil
}

// SetSentinelUser is what follows ACL SETUSER on each Sentinel, for all roles alike: Sentinels have users of their own.
func SetSentinelUser(user string, password Password) ([]string, error) {
	if user == "" {
		user = "atlhyper"
	}
	if err := validateUser(user); err != nil {
		return nil, err
	}
	if password == "" {
		password = placeholder
	}
	return []string{
		user, "reset", "on", string(password), "resetkeys", "resetchannels", "-@all",
		"&+switch-master", "&+replica-reconf-done", "+client|setname", "+ping", "+subscribe",
		"+sentinel|get-master-addr-by-name", "+sentinel|sentinels",
	}, nil
}

func validateUser(name string) error {
	if len(name) > 128 {
		return errors.New("acl: the user's name is longer than 128 characters")
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return fmt.Errorf("acl: the user's name may hold only letters, digits, '-', '.' and '_', not %q", c)
		}
	}
	return nil
}
