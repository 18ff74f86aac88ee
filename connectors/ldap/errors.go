package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

var (
	// errChanged is in the chain of an error about something that went away between two requests of one reading.
	errChanged = errors.New("it went away while the directory was read")
	// errUnreachable is in the chain of an error after which another server may be tried.
	errUnreachable = errors.New("the server cannot be used")
	// errNoConnection is errUnreachable of a server to which no connection leads at all.
	errNoConnection = fmt.Errorf("%w: %w", errUnreachable, connectors.ErrUnreachable)
	// errPartial is in the chain of an error about a listing that ended early.
	errPartial   = errors.New("the listing is not whole, nothing was concluded from it")
	errTimeout   = errors.New("no answer in time")
	errHandshake = errors.New("TLS")
)

// refusal is the error of a request, without the password, which a server's words may repeat.
func (c *Connector) refusal(step string, err error) error {
	if answered, ok := errors.AsType[*refused](err); ok {
		answered.text = redact.Text(answered.text, c.opts.Password())
	}
	return refusal(step, err, c.flavor())
}

// refusal makes the error of a request that was not answered with success.
func refusal(step string, err error, f Flavor) error {
	if _, ok := errors.AsType[*connectors.Error](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, errMessage) {
		return connectors.Damaged(vendor, step, "%v", err)
	}
	e := &connectors.Error{Directory: vendor, Step: step}
	answered, ok := errors.AsType[*refused](err)
	if !ok {
		e.Err = errUnreachable
		if connectors.Unreachable(err) {
			e.Err = errNoConnection
		}
		e.Summary, e.Remedy = network(err)
		return e
	}
	e.Code = fmt.Sprintf("%d %s", answered.code, resultName(answered.code))
	e.Summary = clean(answered.text)
	e.Remedy = remedy(answered, f)
	switch answered.code {
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultServerDown:
		e.Err = errUnreachable
	case ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultInsufficientAccessRights:
		e.Err = connectors.ErrRefused
	case ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultAdminLimitExceeded, ldap.LDAPResultReferral, 9: // 9 is partialResults
		e.Err = errPartial
	}
	if words := accountState(answered); words != "" {
		e.Summary = words
	}
	return e
}

// clean keeps a server's message on one line and within bounds.
func clean(s string) string {
	s = strings.Join(strings.Fields(strings.Trim(s, "\x00")), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}

// network says what keeps two machines from talking.
func network(err error) (summary, remedy string) {
	const ca = "give the certificate of the authority that signed the server's as ca_file"
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the server's certificate is good for " + strings.Join(certified(e.Certificate), ", ") + ", not for " + e.Host,
			"write the server's address as its certificate names it"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return fmt.Sprintf("the server's certificate is valid from %s to %s", e.Cert.NotBefore.Format("2006-01-02 15:04 MST"), e.Cert.NotAfter.Format("2006-01-02 15:04 MST")),
				"renew it, and check the clock of this machine"
		}
		return e.Error(), ca
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the server's certificate is signed by an unknown authority", ca
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS on this port", "write ldap:// with start_tls: true, or the port of ldaps, usually 636"
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Error(), "check the server's name"
	}
	switch {
	case errors.Is(err, errTimeout):
		return errTimeout.Error(), "check the address and the firewall; a large directory on a slow server may need a smaller page_size"
	case errors.Is(err, errHandshake):
		return clean(err.Error()), "check that the server speaks TLS 1.2 or later on this port"
	}
	return clean(err.Error()), "check the address, the port (ldaps 636, ldap 389) and the firewall"
}

func certified(cert *x509.Certificate) []string {
	names := cert.DNSNames
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = []string{"no name"}
	}
	return names
}

// isResult tells whether an error is the server's answer with this code.
func isResult(err error, code int) bool {
	r, ok := errors.AsType[*refused](err)
	return ok && r.code == code
}

// remedy says what to do about an answer other than success.
func remedy(e *refused, f Flavor) string {
	switch e.code {
	case ldap.LDAPResultSizeLimitExceeded:
		return limits(f)
	case ldap.LDAPResultAdminLimitExceeded:
		return "set a smaller page_size, or " + limits(f)
	case ldap.LDAPResultTimeLimitExceeded:
		return "raise the reader's time limit, or index what user_filter and group_filter ask for"
	case ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired:
		return "the server wants an encrypted connection: write ldaps://, or set start_tls: true"
	case ldap.LDAPResultReferral, 9:
		return "referrals are not followed; name a server that holds the base itself"
	case ldap.LDAPResultUnavailableCriticalExtension:
		return "the server does not know a control that is needed"
	case ldap.LDAPResultUndefinedAttributeType, ldap.LDAPResultInappropriateMatching:
		return "check the attribute names in user_filter, group_filter and disabled_filter"
	case ldap.LDAPResultNoSuchObject:
		return "there is no such base, or the reader may not see it; compare base_dn, user_bases and group_bases with the directory"
	case ldap.LDAPResultInvalidDNSyntax:
		return "check the spelling of bind_dn and of the bases"
	case ldap.LDAPResultInappropriateAuthentication:
		return "the reader has no password, or may not sign in with one"
	case ldap.LDAPResultInvalidCredentials:
		if code := subCode(e); code != "" {
			if s, ok := subCodes[code]; ok {
				return s.remedy
			}
		}
		return "check bind_dn and the password, which may have been changed or have expired"
	case ldap.LDAPResultInsufficientAccessRights:
		return "give the reader the right to read and search there; docs/connectors/ldap.md lists what it needs"
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable:
		return "run again; a second server in urls takes over meanwhile"
	case ldap.LDAPResultUnwillingToPerform:
		return "the server may grant smaller pages only (set page_size), or want an encrypted connection"
	case ldap.LDAPResultOperationsError:
		return "on Active Directory this means that signing in did not work; check bind_dn"
	}
	return ""
}

// limits says how the reader gets whole listings.
func limits(f Flavor) string {
	switch f {
	case FlavorAD:
		return "set a page_size of 1000 or less, or raise MaxPageSize in the domain's query policy"
	case Flavor389, FlavorFreeIPA:
		return "set nsSizeLimit, nsPagedSizeLimit and nsLookThroughLimit of the reader's entry to -1"
	}
	return `give the reader no limit, on OpenLDAP: limits dn.exact="<bind_dn>" size.soft=unlimited size.hard=unlimited size.prtotal=unlimited`
}

// A subCode is what Active Directory adds to a refused password.
var subCodePattern = regexp.MustCompile(`\bdata ([0-9a-fA-F]+)\b`)

func subCode(e *refused) string {
	m := subCodePattern.FindStringSubmatch(e.text)
	if m == nil {
		return ""
	}
	return strings.ToLower(m[1])
}

var subCodes = map[string]struct{ words, remedy string }{
	"525": {"there is no such reader", "check bind_dn: its DN, or its user principal name such as reader@acme.com"},
	"52e": {"the password is wrong", "check the password"},
	"530": {"the reader may not sign in at this hour", "lift the reader's logon hours"},
	"531": {"the reader may not sign in from this machine", "lift the reader's restriction to workstations"},
	"532": {"the reader's password has expired", "set a new one, and let it not expire"},
	"533": {"the reader's account is disabled", "enable it in Active Directory Users and Computers"},
	"701": {"the reader's account has expired", "set it to never expire"},
	"773": {"the reader must change its password first", "take User must change password at next logon off"},
	"775": {"the reader's account is locked out", "unlock it, and look for whoever tries a wrong password"},
}

// accountState says in words what a domain controller's sub-code means.
func accountState(e *refused) string {
	if e.code != ldap.LDAPResultInvalidCredentials {
		return ""
	}
	code := subCode(e)
	if s, ok := subCodes[code]; ok {
		return s.words + " (data " + code + ")"
	}
	return ""
}
