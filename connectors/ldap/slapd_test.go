package ldap

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(running{m}) }

// running stops the servers that the tests have started before goroutines are counted.
type running struct{ *testing.M }

func (r running) Run() int {
	code := r.M.Run()
	for _, s := range servers.started {
		s.stop()
	}
	return code
}

var servers struct {
	sync.Mutex
	started map[int]*slapd
}

// A slapd is a real OpenLDAP server on loopback.
type slapd struct {
	plain, secure string // ldap:// and ldaps://, by 127.0.0.1
	ca            []byte // of its certificate, PEM
	people        int
	dir           string
	cmd           *exec.Cmd
	drained       chan struct{}
}

const (
	suffix   = "dc=acme,dc=example"
	admin    = "cn=admin," + suffix
	reader   = "cn=idp-sync," + suffix
	short    = "cn=short," + suffix // gets 500 entries
	pages    = "cn=pages," + suffix // gets pages of 200
	total    = "cn=total," + suffix // gets 500 entries in all pages together
	blind    = "cn=blind," + suffix // may not read entryUUID
	password = "p4ssw0rd of all readers"
)

const slapdConf = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
TLSCertificateFile DIR/cert.pem
TLSCertificateKeyFile DIR/key.pem
sizelimit 500
database mdb
suffix "dc=acme,dc=example"
rootdn "cn=admin,dc=acme,dc=example"
rootpw "p4ssw0rd of all readers"
directory DIR/db
maxsize 1073741824
dbnosync
index objectClass,entryUUID,uid,member,uniqueMember,memberUid eq
overlay ppolicy
limits dn.exact="cn=idp-sync,dc=acme,dc=example" size.soft=unlimited size.hard=unlimited size.prtotal=unlimited
limits dn.exact="cn=blind,dc=acme,dc=example" size.soft=unlimited size.hard=unlimited size.prtotal=unlimited
limits dn.exact="cn=pages,dc=acme,dc=example" size.soft=unlimited size.hard=unlimited size.pr=200 size.prtotal=unlimited
limits dn.exact="cn=total,dc=acme,dc=example" size.soft=unlimited size.hard=unlimited size.prtotal=500
access to attrs=userPassword by anonymous auth by * none
access to attrs=entryUUID by dn.exact="cn=blind,dc=acme,dc=example" none by users read
access to * by users read by anonymous auth
`

// startSlapd returns the server with that many people, the same one for all tests.
func startSlapd(tb testing.TB, people int) *slapd {
	tb.Helper()
	servers.Lock()
	defer servers.Unlock()
	if s := servers.started[people]; s != nil {
		return s
	}
	for _, path := range []string{"/usr/sbin/slapd", "/usr/sbin/slapadd", "/etc/ldap/schema/inetorgperson.schema"} {
		if _, err := os.Stat(path); err != nil {
			tb.Fatalf("%s is missing, and these tests need a real OpenLDAP server: install the Debian packages slapd and ldap-utils; .ci/run does so without starting a service", path)
		}
	}
	s, err := newSlapd(people)
	if err != nil {
		tb.Fatal(err)
	}
	if servers.started == nil {
		servers.started = map[int]*slapd{}
	}
	servers.started[people] = s
	return s
}

func newSlapd(people int) (*slapd, error) {
	dir, err := os.MkdirTemp("", "slapd")
	if err != nil {
		return nil, err
	}
	s := &slapd{dir: dir, people: people, drained: make(chan struct{})}
	if s.ca, err = certify(dir); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "slapd.conf")
	if err := os.WriteFile(conf, []byte(strings.ReplaceAll(slapdConf, "DIR", dir)), 0o600); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		return nil, err
	}
	load := exec.Command("/usr/sbin/slapadd", "-q", "-f", conf)
	load.Stdin = ldif(people)
	if out, err := load.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("slapadd: %w\n%s", err, out)
	}
	for range 3 { // somebody else may take a free port first
		if err = s.start(conf); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// freePort is an address on loopback where nobody listens.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// start returns once the server listens.
func (s *slapd) start(conf string) error {
	plain, err := freePort()
	if err != nil {
		return err
	}
	secure, err := freePort()
	if err != nil {
		return err
	}
	s.plain, s.secure = "ldap://"+plain, "ldaps://"+secure
	s.cmd = exec.Command("/usr/sbin/slapd", "-d", "none", "-f", conf, "-h", s.plain+" "+s.secure)
	said, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	var text strings.Builder
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "slapd starting") {
			go func() {
				io.Copy(io.Discard, said)
				close(s.drained)
			}()
			return s.listening(plain, secure)
		}
	}
	s.cmd.Wait()
	return fmt.Errorf("slapd did not start:\n%s", text.String())
}

// listening waits for the ports, which slapd opens just after it has said that it starts.
func (s *slapd) listening(addresses ...string) error {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(30 * time.Second)
	for _, address := range addresses {
		for {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
				break
			}
			select {
			case <-again.C:
			case <-late:
				return err
			}
		}
	}
	return nil
}

func (s *slapd) stop() {
	s.cmd.Process.Kill()
	<-s.drained
	s.cmd.Wait()
	os.RemoveAll(s.dir)
}

// certify writes a certificate for 127.0.0.1 and its key, and returns the authority's.
func certify(dir string) ([]byte, error) {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Acme CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "ldap.acme.example"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), caKey)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca}), nil
}

// uuid is the entryUUID of the n-th entry of a kind.
func uuid(kind, n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", kind, n) }

func personID(n int) connectors.UserID { return connectors.UserID(uuid(1, n)) }

// peopleDN is the DN of the n-th person, among them some with characters that a DN escapes.
func peopleDN(n int) string {
	switch n {
	case 1:
		return `cn=Lovelace\, Ada,ou=People,` + suffix
	case 2:
		return `cn=Groß \+ Klein \"Zwei\",ou=People,` + suffix
	}
	return fmt.Sprintf("cn=Person %d,ou=People,%s", n, suffix)
}

// ldif is the company: people, a few groups of each class, and groups in groups that hold each other.
func ldif(people int) io.Reader {
	var b bytes.Buffer
	entry := func(dn string, lines ...string) {
		b.WriteString("dn: " + dn + "\n" + strings.Join(lines, "\n") + "\n\n")
	}
	entry(suffix, "objectClass: dcObject", "objectClass: organization", "o: Acme", "dc: acme")
	for _, ou := range []string{"People", "Former", "Groups"} {
		entry("ou="+ou+","+suffix, "objectClass: organizationalUnit", "ou: "+ou)
	}
	for _, dn := range []string{reader, short, pages, total, blind} {
		name, _, _ := strings.Cut(strings.TrimPrefix(dn, "cn="), ",")
		entry(dn, "objectClass: organizationalRole", "objectClass: simpleSecurityObject", "cn: "+name, "userPassword: "+password)
	}
	everybody := []string{"objectClass: groupOfNames", "cn: everybody", "entryUUID: " + uuid(2, 0)}
	for n := range people {
		cn := strings.NewReplacer(`\,`, ",", `\+`, "+", `\"`, `"`).Replace(strings.TrimSuffix(strings.TrimPrefix(peopleDN(n), "cn="), ",ou=People,"+suffix))
		lines := []string{"objectClass: inetOrgPerson", "cn: " + cn, fmt.Sprintf("sn: Family%d", n), fmt.Sprintf("givenName: Given%d", n), fmt.Sprintf("uid: user%d", n),
			fmt.Sprintf("mail: user%d@acme.example", n), "departmentNumber: 7", "title: Engineer", "ou: SRE", "o: Acme", "telephoneNumber: +1 555 0100",
			fmt.Sprintf("employeeNumber: %06d", n), "employeeType: internal", "entryUUID: " + uuid(1, n)}
		switch n {
		case 3:
			lines = append(lines, "pwdAccountLockedTime: "+lockedForGood)
		case 4:
			lines = append(lines, "pwdAccountLockedTime: 20260101000000Z")
		case 5:
			lines[12] = "employeeType: former"
		}
		entry(peopleDN(n), lines...)
		everybody = append(everybody, "member: "+peopleDN(n))
	}
	entry("cn=everybody,ou=Groups,"+suffix, everybody...)
	in := func(name string) string { return "cn=" + name + ",ou=Groups," + suffix }
	entry(in("a"), "objectClass: groupOfNames", "cn: a", "entryUUID: "+uuid(2, 1), "member: "+strings.ToUpper(peopleDN(1)), "member: "+in("b"))
	entry(in("b"), "objectClass: groupOfUniqueNames", "cn: b", "entryUUID: "+uuid(2, 2), "uniqueMember: "+peopleDN(2), "uniqueMember: "+in("c"), "uniqueMember: cn=nobody,ou=People,"+suffix)
	entry(in("c"), "objectClass: groupOfNames", "cn: c", "entryUUID: "+uuid(2, 3), "member: "+strings.ReplaceAll(in("a"), ",", " , "), "member: "+in("d"), "member: cn=stranger,dc=partner,dc=example")
	entry(in("d"), "objectClass: posixGroup", "cn: d", "gidNumber: 4", "entryUUID: "+uuid(2, 4), "memberUid: user3", "memberUid: gone")
	return &b
}

// openLDAP is how the server is read by its reader.
func openLDAP(s *slapd, q connectors.Query) Options {
	return Options{URLs: []string{s.plain}, BindDN: reader, Password: func() string { return password }, Base: suffix, Query: q}
}
