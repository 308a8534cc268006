package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// QueueConfig says what is wanted of a queue.
type QueueConfig struct {
	// Cluster whose queue it is. Required.
	Cluster key.Cluster
	// Limit is the most commands. 0 means 100; more than MaxCommands is an error.
	Limit int
	// Params asks for the commands' parameters, which hold what people searched for.
	Params bool
}

// Queue are the commands that no agent has taken.
type Queue struct {
	ClusterID string    `json:"clusterId"`
	Waiting   int64     `json:"waiting"`  // how many there are
	Commands  []Command `json:"commands"` // the first of them, the one to be taken next first
}

// Queue reads the commands that wait for the agents of a cluster.
func (i *Inspector) Queue(ctx context.Context, cfg QueueConfig) (Queue, error) {
	limit, err := limitOf(cfg.Limit)
	if err != nil {
		return Queue{}, err
	}
	c := cfg.Cluster
	if _, err := i.reader.Cluster(ctx, c); err != nil {
		return Queue{}, err
	}
	lists, now, err := i.lists(ctx, c, []string{c.Commands()}, limit)
	if err != nil {
		return Queue{}, err
	}
	if lists[0].odd {
		return Queue{}, fault.New(fault.StoreUnavailable, "%s is not a list", c.Commands())
	}
	return Queue{ClusterID: string(c), Waiting: lists[0].length, Commands: commandsOf(lists[0], now, cfg.Params)}, nil
}

func limitOf(limit int) (int, error) {
	limit = cmp.Or(limit, 100)
	if limit < 1 || limit > MaxCommands {
		return 0, fault.New(fault.BadRequest, "limit: %d is not between 1 and %d", limit, MaxCommands)
	}
	return limit, nil
}

// ClaimsConfig says what is wanted of the claimed lists.
type ClaimsConfig struct {
	// Cluster whose agents they are. Required.
	Cluster key.Cluster
	// Limit is the most commands of each agent. 0 means 100; more than MaxCommands is an
	// error.
	Limit int
	// Params asks for the commands' parameters, which hold what people searched for.
	Params bool
}

// Claims are the commands that agents have taken and not answered.
type Claims struct {
	ClusterID string  `json:"clusterId"`
	Claims    []Claim `json:"claims"` // by agent
}

// Claim is what one agent has taken.
type Claim struct {
	Agent string `json:"agent"`
	// State is live, leaving, offline (its beat is too old: others take back what it has),
	// left, or gone (nothing but its list is there: if others have seen it, they take back
	// what it has).
	State    string    `json:"state"`
	Claimed  int64     `json:"claimed"`  // how many it has
	Commands []Command `json:"commands"` // the first of them, the oldest first
}

// The states of agents.
const (
	stateLive    = "live"
	stateLeaving = "leaving"
	stateOffline = "offline"
	stateLeft    = "left"
	stateGone    = "gone"
)

// Claims reads what the agents of a cluster have taken, also those of whom nothing else
// is there.
func (i *Inspector) Claims(ctx context.Context, cfg ClaimsConfig) (Claims, error) {
	limit, err := limitOf(cfg.Limit)
	if err != nil {
		return Claims{}, err
	}
	c := cfg.Cluster
	info, err := i.reader.Cluster(ctx, c)
	if err != nil {
		return Claims{}, err
	}
	claims, err := i.claimants(ctx, c, info.Agents)
	if err != nil {
		return Claims{}, err
	}
	names := make([]string, len(claims))
	for n, claim := range claims {
		names[n] = c.Claimed(claim.Agent)
	}
	lists, now, err := i.lists(ctx, c, names, limit)
	if err != nil {
		return Claims{}, err
	}
	for n, l := range lists {
		claims[n].Claimed, claims[n].Commands = l.length, commandsOf(l, now, cfg.Params)
		if l.odd { // what bars the list of one that left
			claims[n].State = stateLeft
		}
	}
	return Claims{ClusterID: string(c), Claims: claims}, nil
}

// maxClaimants bounds the agents whose lists are read.
const maxClaimants = 1000

// claimants are the agents that beat, and those that have a list, by name.
func (i *Inspector) claimants(ctx context.Context, c key.Cluster, agents []snapshot.AgentInfo) ([]Claim, error) {
	states := make(map[string]string)
	for _, a := range agents {
		states[a.Instance] = stateOf(a)
	}
	err := conn.Scan(ctx, i.clients.Normal, c.Claimed("*"), func(keys []string) error {
		for _, k := range keys {
			instance := strings.TrimPrefix(k, c.Claimed(""))
			if err := key.ValidateInstance(instance); err != nil {
				i.logger.WarnContext(ctx, "a list of claimed commands is of no agent", "key", clip(k), "error", err)
				continue
			}
			if _, known := states[instance]; !known && len(states) < maxClaimants {
				states[instance] = stateGone
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for claimed commands: %w", err)
	}
	claims := make([]Claim, 0, len(states))
	for instance, state := range states {
		claims = append(claims, Claim{Agent: instance, State: state})
	}
	slices.SortFunc(claims, func(a, b Claim) int { return strings.Compare(a.Agent, b.Agent) })
	return claims, nil
}

func stateOf(a snapshot.AgentInfo) string {
	switch {
	case !a.Live:
		return stateOffline
	case a.Leaving:
		return stateLeaving
	default:
		return stateLive
	}
}
