package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Addresses is where an App listens, as host:port; "" for nowhere.
type Addresses struct {
	GRPC    string `json:"grpc"`
	Metrics string `json:"metrics"`
}

// writeAddresses writes the address file, whole or not at all: whoever finds it
// can connect. It is there from when the App serves until it drains.
func (a *App) writeAddresses(addresses Addresses) error {
	path := a.config.AddressFile
	if path == "" {
		return nil
	}
	content, err := json.Marshal(addresses)
	if err != nil {
		return err
	}
	unfinished := path + ".unfinished"
	if err := os.WriteFile(unfinished, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot write the address file: %w", err)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return fmt.Errorf("cannot write the address file: %w", err)
	}
	return nil
}

// removeAddresses removes the address file, also one that a killed process left, and
// says early if there is no folder for another.
func (a *App) removeAddresses() error {
	if a.config.AddressFile == "" {
		return nil
	}
	if err := os.Remove(a.config.AddressFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the old address file: %w", err)
	}
	if _, err := os.Stat(filepath.Dir(a.config.AddressFile)); err != nil {
		return fmt.Errorf("there is no folder for the address file: %w", err)
	}
	return nil
}
