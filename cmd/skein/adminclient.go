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
	"time"
)

// adminClient asks the server that has a data directory.
type adminClient struct {
	dir  string
	http *http.Client
	// patience is how long a server may not say a thing.
	patience time.Duration
}

func newAdminClient(dir string) *adminClient {
	return &adminClient{dir: dir, patience: 10 * time.Second, http: &http.Client{Transport: &http.Transport{
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

// watch returns a context that ends when the server says nothing for too long. What was
// asked of it may take longer than that, so it is asked beside whether it is there. The
// caller calls stop.
func (c *adminClient) watch(ctx context.Context) (watched context.Context, stop func()) {
	ctx, end := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c.alive(ctx) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(c.patience / 4):
			}
		}
		end(fmt.Errorf("the skein that has %s did not answer for %s; see whether it hangs, was stopped or is overloaded, and try again", c.dir, c.patience))
	}()
	return ctx, func() { end(nil); <-done }
}

// alive is false when the server lets a question wait. One that is not there refuses
// it, as it does what the caller asks.
func (c *adminClient) alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://skein/alive", nil)
	if err != nil {
		return true
	}
	answer, err := c.http.Do(request)
	if err == nil {
		_ = answer.Body.Close()
	}
	return !errors.Is(err, context.DeadlineExceeded)
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
	asking, enough := c.watch(ctx)
	stopAsking := context.AfterFunc(asking, func() { cancel(context.Cause(asking)) })
	body, err := c.ask(ctx, http.MethodPost, "/checkpoint", nil)
	if err == nil {
		lines := json.NewDecoder(body)
		err = lines.Decode(&answer)
	}
	stopAsking()
	enough() // from here on the server need not do a thing
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if body != nil {
		if err == nil {
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
	ctx, stop := c.watch(ctx)
	defer stop()
	body, err := c.ask(ctx, http.MethodGet, fmt.Sprintf("/deadletters?limit=%d", limit), nil)
	if err != nil {
		return letters, err
	}
	defer body.Close()
	if err = json.NewDecoder(body).Decode(&letters); err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	return letters, err
}

func (c *adminClient) replay(ctx context.Context, offsets []int64, each func(deadLetter)) error {
	ctx, stop := c.watch(ctx)
	defer stop()
	body, err := c.ask(ctx, http.MethodPost, "/deadletters/replay", offsets)
	if err != nil {
		return err
	}
	defer body.Close()
	for lines := json.NewDecoder(body); ; {
		var line replayLine
		if err := lines.Decode(&line); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
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
