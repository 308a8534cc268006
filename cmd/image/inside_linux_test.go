package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/redis/redistest"
)

// rootVariable makes this program run another one in the root that it names.
const rootVariable = "IMAGE_TEST_ROOT"

func TestMain(m *testing.M) {
	if root := os.Getenv(rootVariable); root != "" {
		fmt.Fprintln(os.Stderr, enter(root, os.Args[1:]))
		os.Exit(125)
	}
	os.Exit(m.Run())
}

// enter becomes a program in the root, as a container engine does: the root read-only,
// the user that of the images, no way to more rights. It returns only on errors. It
// runs in a mount namespace of its own.
func enter(root string, args []string) error {
	runtime.LockOSThread() // for prctl, which is about a thread
	const prSetNoNewPrivs = 38
	steps := []struct {
		what string
		do   func() error
	}{
		{"make mounts private", func() error { return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") }},
		{"mount", func() error { return syscall.Mount(root, root, "", syscall.MS_BIND, "") }},
		{"mount read-only", func() error {
			return syscall.Mount("", root, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV, "")
		}},
		{"chroot", func() error { return syscall.Chroot(root) }},
		{"chdir", func() error { return os.Chdir("/") }},
		{"write as root", func() error {
			switch err := os.WriteFile("/written", nil, 0o600); {
			case errors.Is(err, syscall.EROFS):
				return nil
			case err != nil:
				return err
			default:
				return errors.New("the root is not read-only")
			}
		}},
		{"drop groups", func() error { return syscall.Setgroups(nil) }},
		{"set group", func() error { return syscall.Setgid(userID) }},
		{"set user", func() error { return syscall.Setuid(userID) }},
		{"forbid new rights", func() error {
			if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
				return errno
			}
			return nil
		}},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("enter: %s: %w", s.what, err)
		}
	}
	return fmt.Errorf("enter: exec %s: %w", args[0], syscall.Exec(args[0], args, os.Environ()))
}

// container is the root file system of an image.
type container struct {
	t    *testing.T
	root string
	// entrypoint and labels are those of the image.
	entrypoint []string
	labels     map[string]string
}

func unpack(t *testing.T, dir string, c component) container {
	t.Helper()
	// t.TempDir is for its owner alone, which who runs in the root is not.
	root := filepath.Join(t.TempDir(), c.image)
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	untar(t, extract(t, dir, c, amd64), root)
	config, err := load(t, dir, c, amd64).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return container{t, root, config.Config.Entrypoint, config.Config.Labels}
}

// command is the image's program with arguments, in its root.
func (c container) command(ctx context.Context, args ...string) *exec.Cmd {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, append(append([]string{}, c.entrypoint...), args...)...)
	cmd.Env = []string{rootVariable + "=" + c.root, "ATLHYPER_ADMIN_LISTEN=off"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	return cmd
}

// output runs the program to its end and returns its output.
func (c container) output(args ...string) string {
	c.t.Helper()
	out, err := c.command(c.t.Context(), args...).CombinedOutput()
	if err != nil {
		c.t.Errorf("%v %v: %v\n%s", c.entrypoint, args, err, out)
	}
	return string(out)
}

// start runs the program until the test ends, when SIGTERM must end it well.
func (c container) start(args ...string) {
	c.t.Helper()
	var log bytes.Buffer
	cmd := c.command(context.WithoutCancel(c.t.Context()), args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			c.t.Errorf("%v: %v", c.entrypoint, err)
		}
		if err := cmd.Wait(); err != nil {
			c.t.Errorf("%v: %v", c.entrypoint, err)
		}
		if c.t.Failed() {
			c.t.Logf("%v said\n%s", c.entrypoint, log.String())
		}
	})
}

// contents is all that lies in the root: mode, owner and checksum of each file.
func (c container) contents() map[string]string {
	c.t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(c.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var body []byte
		if d.Type().IsRegular() {
			if body, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		owner := info.Sys().(*syscall.Stat_t)
		all[strings.TrimPrefix(path, c.root)] = fmt.Sprintf("%s %d:%d %x", info.Mode(), owner.Uid, owner.Gid, sha256.Sum256(body))
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

// testInside runs the images of a folder as a container engine does, against real
// servers: everything works, and nothing is written.
func testInside(t *testing.T, dir string) { //nolint:thelper // a test of its own
	if os.Getuid() != 0 {
		t.Skip("only root may change the root: run make test-image as root to run the images")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("the images that are run are for amd64")
	}
	all := make(map[string]container)
	before := make(map[string]map[string]string)
	for _, c := range components() {
		in := unpack(t, dir, c)
		all[c.binary], before[c.binary] = in, in.contents()
		if len(before[c.binary]) != 6 {
			t.Errorf("%s holds %v, want the root, a binary, etc with two files, and the bill of materials", c.image, before[c.binary])
		}
		if probe := in.command(t.Context(), "--version"); probe.Run() != nil && probe.ProcessState == nil {
			t.Skip("this machine allows no mount namespaces")
		}
		if got, want := strings.TrimSpace(in.output("--version")), in.labels["org.opencontainers.image.version"]; got != want || want == "" {
			t.Errorf("%s is version %q, its label says %q", c.image, got, want)
		}
	}

	redis := redistest.Start(t)
	// ClickHouse's driver looks up the time zone of its server, without files, too.
	t.Setenv("TZ", "Asia/Shanghai")
	engine := chdbtest.Start(t)
	database := engine.Database(t)
	conn := engine.Open(t, database)
	if err := telemetry.CreateTables(t.Context(), conn, ""); err != nil {
		t.Fatal(err)
	}
	var zone string
	if err := conn.QueryRow(t.Context(), "SELECT timezone()").Scan(&zone); err != nil || zone != "Asia/Shanghai" {
		t.Fatalf("the engine is in %q, %v", zone, err)
	}

	api := freeAddress(t)
	all["master"].start("--listen="+api, "--redis="+redis.URL())
	all["agent"].start("--cluster-id=inside", "--clickhouse="+engine.DSN(database), "--redis="+redis.URL())
	for path, want := range map[string]string{
		"/healthz": "", "/readyz": "",
		"/api/v2/clusters/inside":                                `"status":"online"`,
		"/api/v2/observe/metrics/nodes?cluster_id=inside":        `"message":"ok"`,
		"/api/v2/observe/traces?cluster_id=inside&time_range=5m": `"message":"ok"`, // runs on the agent
	} {
		redistest.Eventually(t, path+" answers "+want, func() bool {
			body, err := get(t.Context(), "http://"+api+path)
			return err == nil && strings.Contains(body, want)
		})
	}
	tool := all["atlhyper"]
	if out := tool.output("doctor", "--clickhouse="+engine.DSN(database)); !strings.Contains(out, database) {
		t.Errorf("doctor says\n%s", out)
	}
	if out := tool.output("inspect", "clusters", "--redis="+redis.URL()); !strings.Contains(out, "inside") {
		t.Errorf("inspect says\n%s", out)
	}
	for _, c := range components() {
		if diff := cmp.Diff(before[c.binary], all[c.binary].contents()); diff != "" {
			t.Errorf("%s changed its root: %s", c.image, diff)
		}
	}
}

// freeAddress is one of 127.0.0.1 that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

// get returns the body of a 200.
func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), err
}
