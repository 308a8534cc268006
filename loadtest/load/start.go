package load

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/atlhyper/observe/loadtest/proc"
)

// start brings everything up and waits until all clusters are there.
func (s *stack) start(ctx context.Context) error {
	data := filepath.Join(s.dir, "redis")
	if err := os.Mkdir(data, 0o700); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	_, err := s.run("redis", proc.Spec{Name: "redis", Path: s.cfg.Redis, Args: []string{
		"--bind", host, "--port", strconv.Itoa(s.ports.redis), "--save", "", "--appendonly", "no",
		"--dir", data, "--logfile", filepath.Join(data, "redis.log"),
	}})
	if err != nil {
		return err
	}
	if err := s.poll(ctx, "redis", s.dial(s.ports.redis)); err != nil {
		return err
	}
	for i := range s.cfg.Masters {
		if err := s.startMaster(i); err != nil {
			return err
		}
	}
	_, err = s.run("fleet", proc.Spec{Name: "fleet", Path: filepath.Join(s.cfg.BinDir, "atlhyper"), Args: s.fleetArgs(), Output: s.cfg.Output})
	if err != nil {
		return err
	}
	if err := s.startBalancer(); err != nil {
		return err
	}
	for i := range s.cfg.Masters {
		if err := s.poll(ctx, "master", s.get("http://"+address(s.ports.masters[i])+"/readyz", nil)); err != nil {
			return err
		}
	}
	return s.poll(ctx, "the clusters", s.get(s.base()+"/api/v2/clusters", s.complete))
}

// fleetArgs make each cluster the reference one: 6 nodes, 10 services, 15 edges, of
// which each section changes every third interval.
func (s *stack) fleetArgs() []string {
	return []string{
		"fleet", "--redis", "redis://" + address(s.ports.redis), "--clusters", strconv.Itoa(s.cfg.Clusters),
		"--nodes", "6", "--services", "10", "--edges", "15", "--change-every", "3",
		"--query-time", "20ms", "--query-spread", "20ms", "--items", "20",
	}
}

// startMaster starts a replica; one that was told to end is waited for before.
func (s *stack) startMaster(i int) error {
	s.mu.Lock()
	old := s.masters[i]
	s.mu.Unlock()
	if old != nil {
		<-old.process.Done()
	}
	p, err := s.run("masters", proc.Spec{
		Name: fmt.Sprintf("master-%d", i), Path: filepath.Join(s.cfg.BinDir, "master"),
		Args: []string{
			"--listen", address(s.ports.masters[i]), "--redis", "redis://" + address(s.ports.redis),
			"--replica", fmt.Sprintf("master-%d", i), "--log-level", "error", "--drain-delay", drainDelay.String(),
			"--admin-listen", "off", "--audit-log", "off",
		},
		Output: s.cfg.Output, Grace: 40 * time.Second, // longer than it drains
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.masters[i] = p
	return nil
}

// endMaster has a replica drain and end; it does not wait for that.
func (s *stack) endMaster(i int) error { return s.signal(i, syscall.SIGTERM) }

// killMaster ends a replica in the middle of whatever it does.
func (s *stack) killMaster(i int) error { return s.signal(i, syscall.SIGKILL) }

func (s *stack) signal(i int, signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.masters[i].ended = true
	s.masters[i].used = processorTime(s.masters[i].process.PID())
	if err := syscall.Kill(s.masters[i].process.PID(), signal); err != nil {
		return fmt.Errorf("load: master %d: %w", i, err)
	}
	return nil
}

func (s *stack) startBalancer() error {
	var masters []string
	for _, port := range s.ports.masters {
		masters = append(masters, address(port))
	}
	text, err := balancerConfig(address(s.ports.balancer), masters)
	if err != nil {
		return err
	}
	file := filepath.Join(s.dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	_, err = s.run("haproxy", proc.Spec{Name: "haproxy", Path: s.cfg.HAProxy, Args: []string{"-db", "-q", "-f", file}, Output: s.cfg.Output})
	return err
}

// complete tells whether all clusters are online.
func (s *stack) complete(body []byte) error {
	var answer struct {
		Data []struct{ Status string }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	online := 0
	for _, c := range answer.Data {
		if strings.EqualFold(c.Status, "online") {
			online++
		}
	}
	if online < s.cfg.Clusters {
		return fmt.Errorf("%d of %d clusters are online", online, s.cfg.Clusters)
	}
	return nil
}
