package clitest

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/charts"
)

// ChartConfig is what CheckChart needs.
type ChartConfig struct {
	// Container is the command's container in the Helm chart: "master" or "agent". Required.
	Container string
	// Command returns flags that nothing has been parsed into. Required.
	Command func() any
	// Options are those of the command.
	Options []kong.Option
	// Check, if set, is given the flags once they were parsed, and says what is wrong.
	Check func(command any) error
	// Without are flags that the chart has no value for, and why.
	Without map[string]string
}

// CheckChart fails the test when the command does not take what the Helm chart gives it
// in any of its variants, and for every flag that the chart cannot set.
func CheckChart(t *testing.T, cfg ChartConfig) {
	t.Helper()
	containers, err := charts.Containers(cfg.Container)
	if err != nil || len(containers) == 0 {
		t.Fatalf("%d containers, %v", len(containers), err)
	}
	flags, given := flagsOf(t, cfg), make(map[string]bool)
	for _, c := range containers {
		t.Run(c.Variant, func(t *testing.T) {
			for _, name := range environment(t, flags, c.Env) {
				given[name] = true
			}
			for _, arg := range c.Args {
				name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
				given[name] = true
			}
			command := cfg.Command()
			parser, err := kong.New(command, cfg.Options...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = parser.Parse(c.Args); err == nil && cfg.Check != nil {
				err = cfg.Check(command)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, strings.Join(c.Args, "\n"))
			}
		})
	}
	for _, flag := range flags {
		if reason, without := cfg.Without[flag.Name]; without == given[flag.Name] {
			t.Errorf("the chart gives --%s: %t; that it does not is right: %t %s", flag.Name, given[flag.Name], without, reason)
		}
	}
	checkConfig(t, cfg.Container, flags)
}

// environment gives the test the variables of a container, and no other that is a flag.
// It returns the names of those flags.
func environment(t *testing.T, flags []*kong.Flag, env map[string]string) []string {
	t.Helper()
	for _, flag := range flags {
		for _, name := range flag.Envs {
			unset(t, name)
		}
	}
	var given []string
	for name, value := range env {
		if !strings.HasPrefix(name, "ATLHYPER_") {
			continue
		}
		i := slices.IndexFunc(flags, func(f *kong.Flag) bool { return slices.Contains(f.Envs, name) })
		if i < 0 {
			t.Errorf("no flag is read from %s", name)
			continue
		}
		given = append(given, flags[i].Name)
		t.Setenv(name, cmp.Or(value, "from-a-secret"))
	}
	return given
}

// checkConfig fails the test for every value of config that is no flag.
func checkConfig(t *testing.T, container string, flags []*kong.Flag) {
	t.Helper()
	config, err := charts.Config(container)
	if err != nil || len(config) == 0 {
		t.Fatalf("%d values, %v", len(config), err)
	}
	for _, value := range config {
		name := kebab(value)
		if !slices.ContainsFunc(flags, func(f *kong.Flag) bool { return f.Name == name }) {
			t.Errorf("the chart's %s.config.%s is no flag: there is no --%s", container, value, name)
		}
	}
}

func flagsOf(t *testing.T, cfg ChartConfig) []*kong.Flag {
	t.Helper()
	parser, err := kong.New(cfg.Command(), cfg.Options...)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(parser.Model.Flags), func(f *kong.Flag) bool { return f.Name == "help" || f.Name == "version" })
}

// unset removes an environment variable for the length of the test.
func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "") // puts it back at the end
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

// kebab is a flag's name from its camelCase.
func kebab(camel string) string {
	var name strings.Builder
	for _, r := range camel {
		if unicode.IsUpper(r) {
			name.WriteByte('-')
		}
		name.WriteRune(unicode.ToLower(r))
	}
	return name.String()
}
