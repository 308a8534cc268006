package kube

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// watchedLock is the Lease as the elector uses it; the Election sees what comes of
// each request. A server that accepts requests and answers none fails them in time.
type watchedLock struct {
	resourcelock.Interface
	election *Election
}

// Get implements resourcelock.Interface.
func (l *watchedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	rctx, cancel := l.bound(ctx)
	defer cancel()
	record, raw, err := l.Interface.Get(rctx)
	switch {
	case apierrors.IsNotFound(err): // it is made next
	case err != nil:
		l.election.note(ctx, err)
	default:
		if record.HolderIdentity != l.election.identity {
			l.election.lost()
		}
		if holder := record.HolderIdentity; holder != "" && !l.election.ours(holder) {
			l.election.note(ctx, fmt.Errorf("%s holds it, which is no agent of %s", holder, l.election.cfg.Cluster))
		} else {
			l.election.note(ctx, nil)
		}
	}
	return record, raw, err
}

// Create implements resourcelock.Interface.
func (l *watchedLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Create)
}

// Update implements resourcelock.Interface.
func (l *watchedLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Update)
}

func (l *watchedLock) write(ctx context.Context, record resourcelock.LeaderElectionRecord, do func(context.Context, resourcelock.LeaderElectionRecord) error) error {
	rctx, cancel := l.bound(ctx)
	defer cancel()
	began := time.Now()
	err := do(rctx, record)
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err): // another agent was faster
	case err != nil:
		l.election.note(ctx, err)
	default:
		if record.HolderIdentity == l.election.identity {
			l.election.holds(began)
		} else { // it was released
			l.election.lost()
		}
		l.election.note(ctx, nil)
	}
	return err
}

// bound leaves the elector the time for a second try before it gives up.
func (l *watchedLock) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, l.election.cfg.Renew/2)
}

// namespaceFile is where a pod finds the namespace of its service account.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// Namespace is where the agent is at home: what the environment variable POD_NAMESPACE
// says, else the namespace of the kubeconfig's context or, without a kubeconfig, that
// of the pod's service account, else "default".
func Namespace(kubeconfig string) (string, error) { return namespace(kubeconfig, namespaceFile) }

func namespace(kubeconfig, file string) (string, error) {
	if name := os.Getenv("POD_NAMESPACE"); name != "" {
		return name, nil
	}
	if kubeconfig != "" {
		name, _, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, &clientcmd.ConfigOverrides{}).Namespace()
		if err != nil {
			return "", fmt.Errorf("the namespace of %s: %w", kubeconfig, err)
		}
		return name, nil
	}
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return "", fmt.Errorf("the agent's namespace: %w", err)
	}
	if name := strings.TrimSpace(string(text)); name != "" {
		return name, nil
	}
	return metav1.NamespaceDefault, nil
}
