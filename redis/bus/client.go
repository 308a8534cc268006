package bus

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
)

// ClientConfig says how a master asks.
type ClientConfig struct {
	// Replica names this master among the others; replies are announced to it.
	// Required; as key.ValidateInstance wants it.
	Replica string
	// MaxWaiters bounds the requests of this replica that wait. 0 means 1,000.
	MaxWaiters int
	// MaxQueue bounds the commands of one cluster that no agent has taken yet.
	// 0 means 256.
	MaxQueue int
	// MaxReplyBytes bounds a reply. 0 means 16 MiB.
	MaxReplyBytes int
	// MaxTimeout bounds Request.Timeout. 0 means 60 s.
	MaxTimeout time.Duration
	// Logger is told of lost and found subscriptions and bad replies. nil means none.
	Logger *slog.Logger
}

// Request is what is asked of a cluster.
type Request struct {
	// Kind names the request.
	Kind detail.Kind
	// Params is the msgpack of the detail request.
	Params codec.Raw
	// Timeout is how long to wait. Required.
	Timeout time.Duration
	// Traceparent continues the caller's trace (W3C header); "" for none.
	Traceparent string
}

// Client asks the agents of all clusters and waits for their replies.
type Client struct{ cfg ClientConfig }

// NewClient checks the configuration.
func NewClient(clients *conn.Clients, cfg ClientConfig) (*Client, error) {
	if err := key.ValidateInstance(cfg.Replica); err != nil {
		return nil, err
	}
	return &Client{cfg: cfg}, nil
}

// Run receives the replies until ctx is done; it must run while Do is used.
func (c *Client) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// Do asks and waits.
func (c *Client) Do(context.Context, key.Cluster, Request) (Reply, error) {
	return Reply{}, errors.New("bus: under construction")
}
