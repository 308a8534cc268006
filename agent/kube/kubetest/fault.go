package kubetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// StopAPI ends the API server; etcd keeps what it had.
func (s *Server) StopAPI(tb testing.TB) {
	tb.Helper()
	if err := s.plane.GetAPIServer().Stop(); err != nil {
		tb.Fatalf("kubetest: stop the API server: %v", err)
	}
}

// StartAPI starts the API server again, on the port and with the users it had. flags
// are names and values beside those of other starts, for this one alone.
func (s *Server) StartAPI(tb testing.TB, flags map[string]string) {
	tb.Helper()
	api := s.plane.GetAPIServer()
	for name, value := range flags {
		api.Configure().Set(name, value)
		defer api.Configure().Disable(name)
	}
	err := api.Start()
	if err == nil {
		err = s.ready()
	}
	if err != nil {
		tb.Fatalf("kubetest: start the API server: %v", err)
	}
}

// Freeze stops the API server's process where it is until the function that is
// returned, or the end of the test: its connections stay, and nothing is answered.
func (s *Server) Freeze(tb testing.TB) (thaw func()) {
	tb.Helper()
	return s.freeze(tb, "kube-apiserver")
}

func (s *Server) freeze(tb testing.TB, name string) (thaw func()) {
	tb.Helper()
	process, err := processOf(s.dir, name)
	if err == nil {
		err = process.Signal(syscall.SIGSTOP)
	}
	if err != nil {
		tb.Fatalf("kubetest: freeze %s: %v", name, err)
	}
	frozen := true
	thaw = func() {
		tb.Helper()
		if !frozen {
			return
		}
		frozen = false
		if err := process.Signal(syscall.SIGCONT); err != nil {
			tb.Fatalf("kubetest: thaw %s: %v", name, err)
		}
	}
	tb.Cleanup(thaw)
	return thaw
}

// Compact makes etcd forget all revisions before the present one: who asks for what
// happened since one of them is told that it is gone, unless the API server remembers.
func (s *Server) Compact(tb testing.TB) {
	tb.Helper()
	var at struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	if err := s.etcd(tb.Context(), "/v3/kv/range", map[string]any{"key": "AA=="}, &at); err != nil {
		tb.Fatalf("kubetest: %v", err)
	}
	if err := s.etcd(tb.Context(), "/v3/kv/compaction", map[string]any{"revision": at.Header.Revision, "physical": true}, nil); err != nil {
		tb.Fatalf("kubetest: %v", err)
	}
}

// etcd sends a request to etcd's JSON gateway.
func (s *Server) etcd(ctx context.Context, path string, body, answer any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.plane.Etcd.URL.JoinPath(path).String(), bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	text, err := io.ReadAll(res.Body)
	if closing := res.Body.Close(); err == nil {
		err = closing
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return fmt.Errorf("etcd: %s: %w", path, err)
	}
	return nil
}

// Backup is a copy of what etcd holds, in a folder of the test.
type Backup struct{ dir string }

// Backup copies etcd's files while etcd stands still, as a snapshot of its disk would.
func (s *Server) Backup(tb testing.TB) Backup {
	tb.Helper()
	b := Backup{dir: filepath.Join(tb.TempDir(), "etcd")}
	thaw := s.freeze(tb, "etcd")
	defer thaw()
	if err := os.CopyFS(b.dir, os.DirFS(s.plane.Etcd.DataDir)); err != nil {
		tb.Fatalf("kubetest: copy etcd's files: %v", err)
	}
	return b
}

// Restore starts etcd and the API server again with what etcd held at the time of the
// backup, which is used up by that: revisions that were given since are given anew.
func (s *Server) Restore(tb testing.TB, b Backup) {
	tb.Helper()
	s.StopAPI(tb)
	etcd := s.plane.Etcd
	err := etcd.Stop()
	if err == nil {
		err = os.RemoveAll(etcd.DataDir)
	}
	if err == nil {
		err = os.CopyFS(etcd.DataDir, os.DirFS(b.dir))
	}
	if err == nil {
		err = etcd.Start()
	}
	if err != nil {
		tb.Fatalf("kubetest: start etcd with a backup: %v", err)
	}
	s.StartAPI(tb, nil)
}
