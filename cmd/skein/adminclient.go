package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// adminClient asks the server that has a data directory.
type adminClient struct {
	dir  string
	http *http.Client
}

func newAdminClient(dir string) *adminClient {
	return &adminClient{dir: dir, http: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (connection net.Conn, err error) {
			err = atSocket(dir, func(path string) error {
				connection, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
				return err
			})
			return connection, err
		},
	}}}
}

// ask sends a request, and returns what is answered; the caller closes it.
func (c *adminClient) ask(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	sent, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://skein"+path, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, fmt.Errorf("the skein that has %s does not answer (%w); it may be starting or stopping: try again", c.dir, err)
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<14))
		return nil, fmt.Errorf("the server says: %s", strings.TrimSpace(string(text)))
	}
	return answer.Body, nil
}

// checkpoint returns a checkpoint, which is there until the caller calls release. lost
// ends when the server lets go of it before.
func (c *adminClient) checkpoint(ctx context.Context) (answer checkpointAnswer, lost context.Context, release func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	body, err := c.ask(ctx, http.MethodPost, "/checkpoint", nil)
	if err == nil {
		lines := json.NewDecoder(body)
		if err = lines.Decode(&answer); err == nil {
			watched := make(chan struct{})
			go func() {
				defer close(watched)
				_, _ = io.Copy(io.Discard, body) // until either side hangs up
				cancel(errors.New("the server stopped meanwhile; try again"))
			}()
			return answer, ctx, func() { cancel(nil); <-watched; _ = body.Close() }, nil
		}
		_ = body.Close()
	}
	cancel(nil)
	return answer, nil, nil, err
}

func (c *adminClient) deadLetters(ctx context.Context, limit int) (letters deadLetters, err error) {
	body, err := c.ask(ctx, http.MethodGet, fmt.Sprintf("/deadletters?limit=%d", limit), nil)
	if err != nil {
		return letters, err
	}
	defer body.Close()
	return letters, json.NewDecoder(body).Decode(&letters)
}

func (c *adminClient) replay(ctx context.Context, offsets []int64, each func(deadLetter)) error {
	body, err := c.ask(ctx, http.MethodPost, "/deadletters/replay", offsets)
	if err != nil {
		return err
	}
	defer body.Close()
	for lines := json.NewDecoder(body); ; {
		var line replayLine
		if err := lines.Decode(&line); err != nil {
			return errors.New("the server stopped before the replay was through; list what is left, and try again")
		}
		if line.Letter != nil {
			each(*line.Letter)
		}
		if line.End && line.Error != "" {
			return errors.New(line.Error)
		}
		if line.End {
			return nil
		}
	}
}
