// Package kubetest holds the program and its manifests against a real Kubernetes API server, which it starts with an
// etcd of its own. It is a module of its own, so that the program's does not grow by it.
package kubetest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Cluster is an API server in which one administrator may do everything.
type Cluster struct {
	Address string // host and port
	CA      []byte // PEM
	dir     string
	client  *http.Client
}

const adminToken = "kubetest-admin"

// Start runs etcd and kube-apiserver until the test ends. The environment's KUBE_APISERVER and ETCD name the programs.
func Start(t *testing.T) *Cluster {
	t.Helper()
	c := &Cluster{dir: t.TempDir()}
	server := program(t, "KUBE_APISERVER", "kube-apiserver", "run make test-kubernetes, which builds it")
	etcd := program(t, "ETCD", "etcd", "on Debian: apt-get install etcd-server")
	c.certify(t)
	c.write(t, "tokens", adminToken+`,admin,admin,"system:masters"`)

	store, peers, port := freeAddress(t), freeAddress(t), freeAddress(t)
	c.run(t, etcd, "--data-dir", filepath.Join(c.dir, "etcd"), "--listen-client-urls", "http://"+store, "--advertise-client-urls", "http://"+store,
		"--listen-peer-urls", "http://"+peers, "--initial-advertise-peer-urls", "http://"+peers, "--initial-cluster", "default=http://"+peers)
	c.Address = port
	_, number, _ := net.SplitHostPort(port)
	c.run(t, server, "--etcd-servers=http://"+store, "--bind-address=127.0.0.1", "--secure-port="+number, "--cert-dir="+c.dir,
		"--tls-cert-file="+c.path("tls.crt"), "--tls-private-key-file="+c.path("tls.key"), "--token-auth-file="+c.path("tokens"),
		"--endpoint-reconciler-type=none", "--authorization-mode=Node,RBAC", "--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+c.path("tls.key"), "--service-account-signing-key-file="+c.path("tls.key"))
	c.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.roots(t), MinVersion: tls.VersionTLS12}}}
	t.Cleanup(c.client.CloseIdleConnections)
	c.await(t)
	return c
}

// program is what the environment names, or what is in PATH. A machine without it fails the test rather than to skip it.
func program(t *testing.T, env, name, remedy string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if named := os.Getenv(env); named != "" {
		path, err = exec.LookPath(named)
	}
	if err != nil {
		t.Fatalf("%v (%s, or set %s)", err, remedy, env)
	}
	return path
}

// run starts a server. Servers end in the reverse order of their start: an API server whose etcd has gone first hangs.
func (c *Cluster) run(t *testing.T, path string, args ...string) {
	t.Helper()
	log, err := os.Create(c.path(filepath.Base(path) + ".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if strings.Contains(filepath.Base(path), "etcd") {
		cmd.Env = append(os.Environ(), "ETCD_UNSAFE_NO_FSYNC=true")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // it was told to end
		timer.Stop()
		log.Close()
		if t.Failed() {
			data, _ := os.ReadFile(log.Name())
			t.Logf("the last of %s:\n%s", filepath.Base(log.Name()), data[max(0, len(data)-3000):])
		}
	})
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *Cluster) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// certify makes a key and a certificate for 127.0.0.1, which is its own authority.
func (c *Cluster) certify(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubetest"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c.write(t, "tls.crt", string(c.CA))
	c.write(t, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})))
}

func (c *Cluster) roots(t *testing.T) *x509.CertPool {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(c.CA) {
		t.Fatal("the certificate cannot be read")
	}
	return pool
}

// await waits until the API server is ready.
func (c *Cluster) await(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Minute, "the API server is ready", func() bool {
		status, _, err := c.send(http.MethodGet, "/readyz", nil)
		return err == nil && status == http.StatusOK
	})
}

// send asks the API server as its administrator.
func (c *Cluster) send(method, path string, object any) (status int, body []byte, err error) {
	status, _, body, err = c.request(method, path, object)
	return status, body, err
}

func (c *Cluster) request(method, path string, object any) (int, http.Header, []byte, error) {
	data, err := json.Marshal(object)
	if err != nil {
		return 0, nil, nil, err
	}
	r, err := http.NewRequest(method, "https://"+c.Address+path, bytes.NewReader(data))
	if err != nil {
		return 0, nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, body, err
}

// create makes an object.
func (c *Cluster) create(t *testing.T, path string, object map[string]any) []byte {
	t.Helper()
	status, body, err := c.send(http.MethodPost, path, object)
	if err != nil || status/100 != 2 {
		t.Fatalf("create below %s: %d %v %s", path, status, err, body)
	}
	return body
}

// Namespace makes a namespace that enforces restricted pods.
func (c *Cluster) Namespace(t *testing.T, name string) {
	t.Helper()
	c.create(t, "/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{
		"name": name, "labels": map[string]string{
			"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
		}}})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually waits until the condition holds.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	if !within(limit, holds) {
		t.Fatalf("not so within %s: %s", limit, what)
	}
}

func within(limit time.Duration, holds func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); <-tick.C {
		if holds() {
			return true
		}
	}
	return false
}

// account makes a service account that may do no more than the chart's: create leases, get and update one. It returns its token.
func (c *Cluster) account(t *testing.T, namespace, lease string) (token string) {
	t.Helper()
	meta := map[string]any{"name": lease, "namespace": namespace}
	rbac := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace
	c.create(t, "/api/v1/namespaces/"+namespace+"/serviceaccounts", map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
	c.create(t, rbac+"/roles", map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": []map[string]any{
		{"apiGroups": []string{"coordination.k8s.io"}, "resources": []string{"leases"}, "verbs": []string{"create"}},
		{"apiGroups": []string{"coordination.k8s.io"}, "resources": []string{"leases"}, "resourceNames": []string{lease}, "verbs": []string{"get", "update"}},
	}})
	c.create(t, rbac+"/rolebindings", map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta,
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": lease},
		"subjects": []map[string]any{{"kind": "ServiceAccount", "name": lease, "namespace": namespace}}})
	body := c.create(t, fmt.Sprintf("/api/v1/namespaces/%s/serviceaccounts/%s/token", namespace, lease), map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": map[string]any{}})
	var answer struct {
		Status struct{ Token string }
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status.Token == "" {
		t.Fatalf("no token: %v %s", err, body)
	}
	return answer.Status.Token
}
