package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"skein/cmd/internal/engines"
	"skein/cmd/internal/progress"
)

// copyResult is what became of a backup or a restore. Its JSON is what scripts see.
type copyResult struct {
	Backup  string           `json:"backup"`
	DataDir string           `json:"dataDir"`
	Time    time.Time        `json:"time"`
	Files   int              `json:"files"`
	Bytes   int64            `json:"bytes"`
	Check   engines.Contents `json:"contents"`
	Sound   bool             `json:"sound"`
}

func (p *program) backupCommand() *cobra.Command {
	o := &dataOptions{program: p}
	cmd := &cobra.Command{
		Use:     "backup DIR",
		GroupID: serverGroup,
		Short:   "Copy the data, while the server serves or not",
		Long: `Copy the data of the embedded engines in --data-dir to DIR, as of one moment, while
a server runs on it or not. Everything acknowledged before the command began is in
it. DIR must be new or empty, and best lies on another disk. The copy is checked
like by skein check, and has the name DIR only once it is whole: before that it is
DIR.partial, which only a kill -9 leaves behind.`,
		Example: `  skein backup /backups/monday
  skein backup "/backups/$(date +%F)" --data-dir /var/lib/skein --json`,
		Args: wants(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.load(); err != nil {
				return err
			}
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			if args[0] == "" {
				return usageError{errors.New("backup wants DIR, the new or empty folder to copy to")}
			}
			return o.backup(ctx, filepath.Clean(args[0]))
		},
	}
	o.bind(cmd)
	return cmd
}

// backup copies from the data directory, or, where a server has it, from a checkpoint
// that the server makes: so a full disk below the backup is no harm to the server.
func (o *dataOptions) backup(ctx context.Context, to string) error {
	if err := engines.CheckTarget(o.dir(), to); err != nil {
		return err
	}
	from, began := o.dir(), time.Now()
	if _, err := engines.ReadBackup(o.dir()); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is a backup itself; copy it with cp -r", o.dir())
	}
	held, err := engines.Look(o.dir())
	switch {
	case err == nil:
		defer held.Close()
	case errors.Is(err, engines.ErrInUse):
		checkpoint, lasting, release, err := newAdminClient(o.dir()).checkpoint(ctx)
		if err != nil {
			return err
		}
		defer release()
		ctx, from, began = lasting, checkpoint.Folder, checkpoint.Time
	default:
		return err
	}
	shown := progress.New(o.stderr)
	defer shown.Stop()
	shown.Stage("copy", engines.DataBytes(from))
	var checked *checkResult
	b, err := engines.WriteBackup(ctx, from, to, began, shown.Add, func(folder string) (err error) {
		shown.End()
		checked, err = check(ctx, folder, shown)
		checked.DataDir = to
		return err
	})
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = cause // a file of the checkpoint that is gone is not the matter
		}
		return err
	}
	r := copyResult{Backup: to, DataDir: o.dir(), Time: b.Time, Files: len(b.Files), Bytes: b.Bytes(), Check: checked.Contents, Sound: checked.Sound}
	err = o.answer(r, func(w io.Writer) error {
		if err := r.write(w, fmt.Sprintf("Backup   %s", to)); err != nil {
			return err
		}
		return checked.write(w)
	})
	if !checked.Sound {
		err = errors.Join(err, fmt.Errorf("the backup is as the data is, and %s wrong in it; keep an earlier one", checked.amount()))
	}
	return err
}

func (r copyResult) write(w io.Writer, what string) error {
	_, err := fmt.Fprintf(w, "%s, as of %s: %d files, %s\n", what, r.Time.Local().Format("2006-01-02 15:04:05 -0700"), r.Files, inUnits(r.Bytes))
	return err
}

// inUnits writes a size for people.
func inUnits(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

func (p *program) restoreCommand() *cobra.Command {
	o := &dataOptions{program: p}
	cmd := &cobra.Command{
		Use:     "restore BACKUP --data-dir DIR",
		GroupID: serverGroup,
		Short:   "Make a data directory from a backup",
		Long: `Copy BACKUP, which skein backup made, to --data-dir, which must be new or empty, and
check it; then skein serve may run on it. All that was acknowledged after the backup
is not there any more: posts, but deletes, follows and unfollows too. Do not serve a
restored copy beside the original.`,
		Example: "  skein restore /backups/monday --data-dir /var/lib/skein",
		Args:    wants(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.load(); err != nil {
				return err
			}
			if !cmd.Flags().Changed("data-dir") {
				return usageError{errors.New("restore wants --data-dir, the new or empty folder to restore to")}
			}
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			return o.restore(ctx, filepath.Clean(args[0]))
		},
	}
	o.bind(cmd)
	return cmd
}

func (o *dataOptions) restore(ctx context.Context, from string) error {
	b, err := engines.ReadBackup(from)
	if err != nil {
		return err
	}
	shown := progress.New(o.stderr)
	defer shown.Stop()
	shown.Stage("copy", b.Bytes())
	var checked *checkResult
	err = engines.Restore(ctx, b, from, o.dir(), time.Now(), shown.Add, func(folder string) (err error) {
		shown.End()
		checked, err = check(ctx, folder, shown)
		checked.DataDir = o.dir()
		return err
	})
	if err != nil {
		return err
	}
	r := copyResult{Backup: from, DataDir: o.dir(), Time: b.Time, Files: len(b.Files), Bytes: b.Bytes(), Check: checked.Contents, Sound: checked.Sound}
	err = o.answer(r, func(w io.Writer) error {
		if err := r.write(w, fmt.Sprintf("Restored %s", from)); err != nil {
			return err
		}
		if err := checked.write(w); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "What was acknowledged after %s is not there any more. Ready: skein serve --data-dir %s\n",
			b.Time.Local().Format("2006-01-02 15:04:05 -0700"), o.dir())
		return err
	})
	return errors.Join(err, checked.err())
}
