package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"skein/cmd/internal/engines"
	"skein/fanout"
	"skein/feed"
)

// admin lets commands beside a server, of the same user on the same machine, do what
// needs the engines that the server has open. It speaks HTTP on a socket in the data
// directory. It is no part of the API: both ends are of one version.
//
//	GET  /alive            nothing; one whose answer takes long sees that there is somebody
//	POST /checkpoint       makes one, tells its folder, and removes it when the
//	                       caller hangs up
//	GET  /deadletters      what is set aside
//	POST /deadletters/replay   a line for each record, as it is done
//
// One checkpoint and one replay at a time; a second gets 409.
type admin struct {
	dir     string
	engines *engines.Set
	fanout  *fanout.Fanout
	log     *slog.Logger

	server   *http.Server
	listener net.Listener

	checkpointing, replaying gate
	working                  sync.WaitGroup
}

// openAdmin listens on the socket. A socket and a checkpoint that a killed process
// left are replaced; the caller holds the data directory's lock.
func openAdmin(dir string, set *engines.Set, f *fanout.Fanout, log *slog.Logger) (*admin, error) {
	a := &admin{dir: dir, engines: set, fanout: f, log: log, checkpointing: make(gate, 1), replaying: make(gate, 1)}
	if err := engines.RemoveCheckpoint(dir); err != nil {
		return nil, err
	}
	if err := os.Remove(adminSocket(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot remove the old socket: %w", err)
	}
	err := atSocket(dir, func(path string) error {
		listener, err := net.Listen("unix", path)
		if err != nil {
			return err
		}
		listener.(*net.UnixListener).SetUnlinkOnClose(false) // path may be gone
		a.listener = listener
		return os.Chmod(adminSocket(dir), 0o600)
	})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for skein's own commands: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /alive", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /checkpoint", a.counted(a.checkpoint))
	mux.HandleFunc("GET /deadletters", a.counted(a.list))
	mux.HandleFunc("POST /deadletters/replay", a.counted(a.replay))
	a.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return a, nil
}

func adminSocket(dir string) string { return filepath.Join(dir, "admin.sock") }

// atSocket calls use with a path of the socket that is short enough for the kernel,
// which takes about a hundred bytes: by a link to the directory, if need be.
func atSocket(dir string, use func(path string) error) (err error) {
	const longest = 100
	if len(adminSocket(dir)) <= longest {
		return use(adminSocket(dir))
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	short, err := os.MkdirTemp("", "skein")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(short)) }()
	link := filepath.Join(short, "d")
	if err := os.Symlink(dir, link); err != nil {
		return err
	}
	return use(adminSocket(link))
}

// serve answers until stop.
func (a *admin) serve() error {
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// stop cuts off what is in work, which can be repeated, and waits for its end. It may
// be called twice, and without serve.
func (a *admin) stop() {
	_ = a.server.Close()   // of connections that nobody needs
	_ = a.listener.Close() // if serve was never called
	a.working.Wait()
	_ = os.Remove(adminSocket(a.dir)) // the next start does it, too
}

// counted is a handler that stop waits for.
func (a *admin) counted(handle func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.working.Add(1)
		defer a.working.Done()
		if err := handle(w, r); err != nil && r.Context().Err() == nil {
			code := http.StatusInternalServerError
			switch feed.CodeOf(err) {
			case feed.CodeNotFound:
				code = http.StatusNotFound
			case feed.CodeExists:
				code = http.StatusConflict
			case feed.CodeUnavailable:
				code = http.StatusServiceUnavailable
			}
			http.Error(w, err.Error(), code)
		}
	}
}

// gate lets one in at a time.
type gate chan struct{}

// enter waits for a moment, in which one who has hung up may leave.
func (g gate) enter(ctx context.Context) bool {
	moment := time.NewTimer(2 * time.Second)
	defer moment.Stop()
	select {
	case g <- struct{}{}:
		return true
	case <-moment.C:
	case <-ctx.Done():
	}
	return false
}

func (g gate) leave() { <-g }

// bodyTime is how long a request for a checkpoint may take to be sent.
const bodyTime = 2 * time.Second

// checkpointAnswer is the line that answers a checkpoint.
type checkpointAnswer struct {
	Folder string    `json:"folder"`
	Time   time.Time `json:"time"`
}

func (a *admin) checkpoint(w http.ResponseWriter, r *http.Request) error {
	// Only past the body's end it is seen when the caller hangs up. One who does not
	// send it keeps nobody out.
	reading := http.NewResponseController(w)
	if err := reading.SetReadDeadline(time.Now().Add(bodyTime)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	if err := reading.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if !a.checkpointing.enter(r.Context()) {
		return feed.Exists("another backup of this server is being made")
	}
	defer a.checkpointing.leave()
	answer := checkpointAnswer{Time: time.Now()}
	folder, err := a.engines.Checkpoint(r.Context(), a.dir)
	if err != nil {
		return err
	}
	defer func() {
		if err := engines.RemoveCheckpoint(a.dir); err != nil {
			a.log.Warn(err.Error())
		}
	}()
	if answer.Folder, err = filepath.Abs(folder); err != nil {
		return err
	}
	a.log.Info("a backup is being made")
	if err := sendLine(w, answer); err != nil {
		return nil // the caller hung up
	}
	<-r.Context().Done()
	return nil
}

// deadLetters is what is set aside, as commands show it.
type deadLetters struct {
	All     int          `json:"all"`
	Letters []deadLetter `json:"deadLetters"`
}

// deadLetter is a record that is set aside. Ids are strings in JSON, as in the API's.
type deadLetter struct {
	Offset int64     `json:"offset"`
	Time   time.Time `json:"time"`
	Post   int64     `json:"post,string"`
	Author int64     `json:"author,string"`
	Lane   string    `json:"lane"`
	Reason string    `json:"reason"`
	// Failed says why a replay failed; Replayed that it did not.
	Failed   string `json:"failed,omitempty"`
	Replayed bool   `json:"replayed,omitempty"`
}

func letterOf(a fanout.Aside) deadLetter {
	return deadLetter{
		Offset: a.Offset, Time: a.Time.UTC(), Post: int64(a.Post), Author: int64(a.Author), Lane: a.Lane, Reason: a.Reason,
	}
}

// outcomeOf is what became of a letter.
func outcomeOf(o fanout.Replayed) deadLetter {
	letter := letterOf(o.Aside)
	if letter.Replayed = o.Err == nil; o.Err != nil {
		letter.Failed = o.Err.Error()
	}
	return letter
}

func lettersOf(list []fanout.Aside, all int) deadLetters {
	letters := deadLetters{All: all, Letters: []deadLetter{}}
	for _, a := range list {
		letters.Letters = append(letters.Letters, letterOf(a))
	}
	return letters
}

func (a *admin) list(w http.ResponseWriter, r *http.Request) error {
	var limit int
	if _, err := fmt.Sscan(r.FormValue("limit"), &limit); err != nil {
		return err
	}
	list, all, err := fanout.ListAside(r.Context(), a.engines.Log, limit)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(lettersOf(list, all))
}

// replayLine is one line of the answer to a replay: a letter, or in the last one why
// the rest was not tried.
type replayLine struct {
	Letter *deadLetter `json:"letter,omitempty"`
	Error  string      `json:"error,omitempty"`
	End    bool        `json:"end,omitempty"`
}

func (a *admin) replay(w http.ResponseWriter, r *http.Request) error {
	var offsets []int64 // null for all
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&offsets); err != nil {
		return err
	}
	if !a.replaying.enter(r.Context()) {
		return feed.Exists("another replay is under way")
	}
	defer a.replaying.leave()
	begun := false
	err := a.fanout.ReplaySome(r.Context(), offsets, func(o fanout.Replayed) {
		begun = true
		letter := outcomeOf(o)
		_ = sendLine(w, replayLine{Letter: &letter}) // if the caller hung up, its context ended
	})
	if err != nil && !begun {
		return err
	}
	line := replayLine{End: true}
	if err != nil {
		line.Error = err.Error()
	}
	_ = sendLine(w, line)
	return nil
}

// sendLine writes one line of JSON, and sends it on its way.
func sendLine(w http.ResponseWriter, value any) error {
	if err := json.NewEncoder(w).Encode(value); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}
