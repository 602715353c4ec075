package servers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// An account is whom a server runs as.
type account struct{ uid, gid int }

// unprivileged returns nil, or, for a process of root, an account without rights.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		return &account{uid, gid}, errors.Join(err1, err2)
	}
	return nil, errors.New("run as root, and neither postgres nor nobody is a user of this machine")
}

// attributes make a process run as the user and die with the one that started it.
func attributes(user *account) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if user != nil {
		a.Credential = &syscall.Credential{Uid: uint32(user.uid), Gid: uint32(user.gid)}
	}
	return a
}

// killTree kills the process and its children, and returns the children. The
// process is stopped first, so that it makes no more of them.
func killTree(p *os.Process) []int {
	_ = p.Signal(syscall.SIGSTOP) // fails only if it has ended
	all := children(p.Pid)
	for _, child := range all {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	_ = p.Kill()
	return all
}

func children(parent int) []int {
	folders, _ := filepath.Glob("/proc/[0-9]*")
	var found []int
	for _, folder := range folders {
		pid, _ := strconv.Atoi(filepath.Base(folder))
		if _, p := stat(pid); p == parent {
			found = append(found, pid)
		}
	}
	return found
}

// alive tells whether the process still holds anything: a zombie does not.
func alive(pid int) bool {
	state, _ := stat(pid)
	return state != 0 && state != 'Z' && state != 'X'
}

// stat returns the state of a process and its parent, or zeros if there is none.
func stat(pid int) (state byte, parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// The name of the program, in parentheses, may hold anything.
	_, err = fmt.Sscanf(string(text[bytes.LastIndexByte(text, ')')+1:]), " %c %d", &state, &parent)
	if err != nil {
		return 0, 0
	}
	return state, parent
}
