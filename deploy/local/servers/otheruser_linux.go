package servers

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// giveAway makes a folder the property of the user that PostgreSQL shall run as,
// if the caller is root, whom it refuses: postgres or, where there is none,
// nobody.
func giveAway(folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	other, err := user.Lookup("postgres")
	if err != nil {
		if other, err = user.Lookup("nobody"); err != nil {
			return fmt.Errorf("PostgreSQL does not run as root, and there is no other user: %w", err)
		}
	}
	uid, _ := strconv.Atoi(other.Uid) // numbers on Linux
	gid, _ := strconv.Atoi(other.Gid)
	return os.Chown(folder, uid, gid)
}

// asOther makes command run as the owner of folder, if the caller is root. Where
// that user may not pass on the way to the folder, as below /root, it gets the
// capability to pass everywhere; only then, since in some containers not even
// root has it to give.
func asOther(command *exec.Cmd, folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	if owner.Uid == 0 {
		return fmt.Errorf("%s belongs to root, as whom PostgreSQL does not run; remove it", folder)
	}
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.Dir = "/" // ours may be out of its reach
	command.SysProcAttr.Credential = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
	if !inReach(filepath.Dir(folder)) {
		command.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_DAC_OVERRIDE}
	}
	return nil
}

// cacheInReach returns cache or, if root's other user may not pass to it, a
// folder of root's for temporary files: the capability of asOther does not help
// initdb find its companions, since access(2) ignores it.
func cacheInReach(cache string) (string, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	if inReach(cache) {
		return cache, nil
	}
	cache = filepath.Join(os.TempDir(), "skein-engines")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	info, err := os.Lstat(cache)
	if err != nil {
		return "", err
	}
	if !info.IsDir() || info.Sys().(*syscall.Stat_t).Uid != 0 || !inReach(cache) {
		return "", fmt.Errorf("%s is not a folder of root's that others may enter", cache)
	}
	return cache, nil
}

// inReach reports whether the user of asOther may pass to folder.
func inReach(folder string) bool {
	if os.Geteuid() != 0 {
		return true
	}
	for {
		info, err := os.Stat(folder)
		if err != nil || info.Mode().Perm()&1 == 0 {
			return false
		}
		if folder == filepath.Dir(folder) {
			return true
		}
		folder = filepath.Dir(folder)
	}
}
