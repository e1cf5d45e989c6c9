package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

const (
	envPrefix = "SKEIN_"
	// The tests' variables share the prefix; they are not for this program.
	envTestPrefix = "SKEIN_TEST_"
	// So do those of deploy/local, which fetches engines.
	envEnginesPrefix = "SKEIN_ENGINES_"
	// Neither is the one for the commands that talk to a server a setting of
	// the server.
	envTarget  = envPrefix + "TARGET"
	fileSuffix = "-file"
)

// load fills c by its settings: see the function load. An error is a usageError that
// says where the value that is wrong comes from.
func (c *Config) load(settings *pflag.FlagSet, environ []string) error {
	if err := load(settings, environ); err != nil {
		return usageError{err}
	}
	err := c.Validate()
	if err == nil {
		return nil
	}
	name := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == ' ' || r == ':' })[0]
	if flag := settings.Lookup(name); flag != nil && len(flag.Annotations[fromAnnotation]) > 0 {
		err = fmt.Errorf("%w (from %s)", err, sourceOf(flag))
	}
	return usageError{err}
}

// load gives each setting that the command line left alone its value from the
// environment, else from the YAML file that --config names; what neither names
// keeps its default. All values go through the flags' own parsers, so that they
// look the same everywhere. Names that no setting has are errors.
func load(settings *pflag.FlagSet, environ []string) error {
	// A flag that is set counts as changed from then on, so the stronger
	// source goes first.
	if err := loadEnvironment(settings, environ); err != nil {
		return err
	}
	path := settings.Lookup("config").Value.String()
	if path == "" {
		return nil
	}
	values := koanf.New(".")
	if err := values.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("cannot read the configuration file %s: %w", path, err)
	}
	for _, key := range values.Keys() {
		flag := settings.Lookup(key)
		if flag == nil || key == "config" {
			return fmt.Errorf("%s: there is no setting %q", path, key)
		}
		if values.Get(key) == nil {
			return fmt.Errorf("%s: %s has no value", path, key)
		}
		if err := set(flag, "file "+path, path+": "+key, values.String(key)); err != nil {
			return err
		}
	}
	return nil
}

// loadEnvironment reads SKEIN_DATA_DIR and the like, and SKEIN_DATA_DIR_FILE,
// which names a file that holds the value (for secrets).
func loadEnvironment(settings *pflag.FlagSet, environ []string) error {
	values := koanf.New(".")
	if err := values.Load(env.Provider(".", env.Opt{
		Prefix:        envPrefix,
		EnvironFunc:   func() []string { return environ },
		TransformFunc: settingOf,
	}), nil); err != nil {
		return fmt.Errorf("cannot read the environment: %w", err)
	}
	for _, key := range values.Keys() {
		name, value := variableOf(key), values.String(key)
		source := "environment " + name
		flag := settings.Lookup(key)
		if base, isFile := strings.CutSuffix(key, fileSuffix); flag == nil && isFile {
			if flag = settings.Lookup(base); flag != nil && values.Exists(base) {
				return fmt.Errorf("both %s and %s are set; only one may be", variableOf(base), name)
			}
			if flag != nil {
				content, err := os.ReadFile(value)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				value = strings.TrimRight(string(content), "\r\n")
				source = "file of " + source
			}
		}
		if flag == nil {
			return fmt.Errorf("there is no setting for the environment variable %s", name)
		}
		if err := set(flag, source, name, value); err != nil {
			return err
		}
	}
	return nil
}

// settingOf makes SKEIN_DATA_DIR data-dir.
func settingOf(name, value string) (string, any) {
	if strings.HasPrefix(name, envTestPrefix) || strings.HasPrefix(name, envEnginesPrefix) || name == envTarget {
		return "", nil
	}
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, envPrefix)), "_", "-"), value
}

func variableOf(setting string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// set gives flag a value, unless a stronger source did; name is what source
// calls it, for errors.
func set(flag *pflag.Flag, source, name, value string) error {
	if flag.Changed {
		return nil
	}
	if err := flag.Value.Set(value); err != nil {
		return errors.New(misread(name, flag, value, err))
	}
	flag.Changed = true
	noteSource(flag, source)
	return nil
}

// misread says that a value cannot be read, and what is wanted instead of it; name is
// what its source calls the flag.
func misread(name string, flag *pflag.Flag, value string, err error) string {
	wanted := ""
	switch flag.Value.Type() {
	case "duration":
		wanted = "a time like 5s or 1m30s"
	case "int", "int64":
		wanted = "a whole number"
	case "bool":
		wanted = "true or false"
	}
	if flag.Name == "log-level" {
		wanted = "debug, info, warn or error"
	}
	if wanted == "" {
		return fmt.Sprintf("%s: %v", name, err)
	}
	return fmt.Sprintf("%s is %q; say %s", name, value, wanted)
}
