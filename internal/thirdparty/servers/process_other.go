//go:build !linux

package servers

import (
	"os"
	"syscall"
)

// An account is whom a server runs as. Only Linux needs it here.
type account struct{ uid, gid int }

func unprivileged() (*account, error) { return nil, nil }

func attributes(*account) *syscall.SysProcAttr { return nil }

// killTree kills the process. Its children end by themselves when they notice.
func killTree(p *os.Process) []int {
	_ = p.Kill() // fails only if it has ended
	return nil
}

func alive(int) bool { return false }
