//go:build realscim

package realscim

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// start runs the servers out of the folder that SCIM_SERVERS names and returns when they answer.
func start() (stop func(), err error) {
	dir := os.Getenv("SCIM_SERVERS")
	if dir == "" {
		return nil, errors.New("SCIM_SERVERS is not set (run make test-scim, which installs the servers)")
	}
	scimmy := process{cmd: exec.Command("node", "server.js")}
	scimmy.cmd.Dir = filepath.Join(dir, "scimmy")
	scimmy.cmd.Env = append(os.Environ(), "SCIM_TOKEN="+token)
	if err := scimmy.run(); err != nil {
		return nil, fmt.Errorf("start SCIMMY: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return nil, errors.Join(err, scimmy.stop())
	}
	python := process{cmd: exec.Command(filepath.Join(dir, "scim2server", "bin", "scim2-server"),
		"--port", port, "--dynamic-tenants", "--bearer-token", token)}
	if err := python.run(); err != nil {
		return nil, errors.Join(fmt.Errorf("start scim2-server: %w", err), scimmy.stop())
	}
	running = []server{
		{"SCIMMY", tenants("http://"+scimmy.address, "")},
		{"scim2-server", tenants("http://127.0.0.1:"+port, "/v2")},
	}
	return func() {
		if err := errors.Join(scimmy.stop(), python.stop()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}, nil
}

var lastTenant atomic.Int64

// tenants opens one tenant after the other.
func tenants(url, suffix string) func() peer {
	return func() peer {
		return peer{url + "/t" + strconv.FormatInt(lastTenant.Add(1), 10) + suffix, http.DefaultTransport}
	}
}

// A process is a server that prints its address when it is ready.
type process struct {
	cmd     *exec.Cmd
	address string
	last    tail
}

// A tail is the end of what was written to it.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	*t = (*t)[max(0, len(*t)-2000):]
	return len(p), nil
}

func (p *process) run() error {
	stdin, err := p.cmd.StdinPipe() // a server that reads it ends with us
	if err != nil {
		return err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.cmd.Stderr = &p.last
	if err := p.cmd.Start(); err != nil {
		return err
	}
	late := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if late.Stop(); err != nil {
		_ = stdin.Close()
		return errors.Join(err, p.stop(), fmt.Errorf("it did not get ready within a minute; it said: %s", p.last))
	}
	_, p.address, _ = strings.Cut(strings.TrimSpace(line), "http://")
	return nil
}

func (p *process) stop() error {
	err := p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed, so its exit status says nothing
	return err
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
