//go:build !noentra

package entra

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/microsoftgraph/msgraph-sdk-go/models"
)

// An attribute is one that an expression reads with user.attr("…").
type attribute struct {
	name     string
	property string // what has to be in $select for it
	read     func(models.Userable) (string, error)
}

// properties are the user's properties that Graph keeps in the directory itself. What it keeps elsewhere (skills,
// mailboxSettings, signInActivity, …) fails a whole listing or needs rights that a sync should not have.
var properties = map[string]func(models.Userable) string{
	"ageGroup":                     one(models.Userable.GetAgeGroup),
	"businessPhones":               several(models.Userable.GetBusinessPhones),
	"city":                         one(models.Userable.GetCity),
	"companyName":                  one(models.Userable.GetCompanyName),
	"consentProvidedForMinor":      one(models.Userable.GetConsentProvidedForMinor),
	"country":                      one(models.Userable.GetCountry),
	"createdDateTime":              moment(models.Userable.GetCreatedDateTime),
	"creationType":                 one(models.Userable.GetCreationType),
	"department":                   one(models.Userable.GetDepartment),
	"displayName":                  one(models.Userable.GetDisplayName),
	"employeeHireDate":             moment(models.Userable.GetEmployeeHireDate),
	"employeeId":                   one(models.Userable.GetEmployeeId),
	"employeeType":                 one(models.Userable.GetEmployeeType),
	"externalUserState":            one(models.Userable.GetExternalUserState),
	"faxNumber":                    one(models.Userable.GetFaxNumber),
	"givenName":                    one(models.Userable.GetGivenName),
	"imAddresses":                  several(models.Userable.GetImAddresses),
	"jobTitle":                     one(models.Userable.GetJobTitle),
	"legalAgeGroupClassification":  one(models.Userable.GetLegalAgeGroupClassification),
	"mail":                         one(models.Userable.GetMail),
	"mailNickname":                 one(models.Userable.GetMailNickname),
	"mobilePhone":                  one(models.Userable.GetMobilePhone),
	"officeLocation":               one(models.Userable.GetOfficeLocation),
	"onPremisesDistinguishedName":  one(models.Userable.GetOnPremisesDistinguishedName),
	"onPremisesDomainName":         one(models.Userable.GetOnPremisesDomainName),
	"onPremisesImmutableId":        one(models.Userable.GetOnPremisesImmutableId),
	"onPremisesSamAccountName":     one(models.Userable.GetOnPremisesSamAccountName),
	"onPremisesSecurityIdentifier": one(models.Userable.GetOnPremisesSecurityIdentifier),
	"onPremisesSyncEnabled":        truth(models.Userable.GetOnPremisesSyncEnabled),
	"onPremisesUserPrincipalName":  one(models.Userable.GetOnPremisesUserPrincipalName),
	"otherMails":                   several(models.Userable.GetOtherMails),
	"postalCode":                   one(models.Userable.GetPostalCode),
	"preferredDataLocation":        one(models.Userable.GetPreferredDataLocation),
	"preferredLanguage":            one(models.Userable.GetPreferredLanguage),
	"proxyAddresses":               several(models.Userable.GetProxyAddresses),
	"securityIdentifier":           one(models.Userable.GetSecurityIdentifier),
	"state":                        one(models.Userable.GetState),
	"streetAddress":                one(models.Userable.GetStreetAddress),
	"surname":                      one(models.Userable.GetSurname),
	"usageLocation":                one(models.Userable.GetUsageLocation),
	"userPrincipalName":            one(models.Userable.GetUserPrincipalName),
	"userType":                     one(models.Userable.GetUserType),
}

// onPremises are the fifteen extension attributes of Exchange and the on-premises directory.
var onPremises = []func(models.OnPremisesExtensionAttributesable) *string{
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute1,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute2,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute3,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute4,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute5,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute6,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute7,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute8,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute9,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute10,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute11,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute12,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute13,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute14,
	models.OnPremisesExtensionAttributesable.GetExtensionAttribute15,
}

const onPremisesProperty = "onPremisesExtensionAttributes"

// directoryExtension is the name of a directory (schema) extension: the client id of the app that owns it, and a name.
var directoryExtension = regexp.MustCompile(`^extension_[0-9a-f]{32}_[A-Za-z0-9_]+$`)

// parseAttributes finds out how to read each attribute, or says which ones there are.
func parseAttributes(names []string) ([]attribute, error) {
	var (
		out  []attribute
		errs []error
	)
	for _, name := range names {
		a, ok := attributeOf(name)
		if !ok {
			errs = append(errs, fmt.Errorf("entra: user.attr(%q): Graph's listing of users has no such property "+
				"(letter case counts; there are %s, %s.extensionAttribute1 to 15, and extension_<app>_<name>)",
				name, strings.Join(slices.Sorted(maps.Keys(properties)), ", "), onPremisesProperty))
			continue
		}
		out = append(out, a)
	}
	return out, errors.Join(errs...)
}

func attributeOf(name string) (attribute, bool) {
	if read, ok := properties[name]; ok {
		return attribute{name, name, func(u models.Userable) (string, error) { return read(u), nil }}, true
	}
	if directoryExtension.MatchString(name) {
		return attribute{name, name, func(u models.Userable) (string, error) { return plainValue(u.GetAdditionalData()[name]) }}, true
	}
	number, ok := strings.CutPrefix(name, onPremisesProperty+".extensionAttribute")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 || n > len(onPremises) || strconv.Itoa(n) != number {
		return attribute{}, false
	}
	return attribute{name, onPremisesProperty, func(u models.Userable) (string, error) {
		if all := u.GetOnPremisesExtensionAttributes(); all != nil {
			return text(onPremises[n-1](all)), nil
		}
		return "", nil
	}}, true
}

func one(get func(models.Userable) *string) func(models.Userable) string {
	return func(u models.Userable) string { return text(get(u)) }
}

func several(get func(models.Userable) []string) func(models.Userable) string {
	return func(u models.Userable) string { return strings.Join(get(u), ",") }
}

func truth(get func(models.Userable) *bool) func(models.Userable) string {
	return func(u models.Userable) string {
		if b := get(u); b != nil {
			return strconv.FormatBool(*b)
		}
		return ""
	}
}

func moment(get func(models.Userable) *time.Time) func(models.Userable) string {
	return func(u models.Userable) string {
		if at := get(u); at != nil {
			return at.UTC().Format(time.RFC3339)
		}
		return ""
	}
}

// plainValue reads what the SDK has no field for: text, numbers, booleans, or a list of those, joined by commas.
func plainValue(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case *string:
		return text(v), nil
	case *bool:
		return strconv.FormatBool(*v), nil
	case *int32:
		return strconv.FormatInt(int64(*v), 10), nil
	case *int64:
		return strconv.FormatInt(*v, 10), nil
	case *float64:
		return strconv.FormatFloat(*v, 'f', -1, 64), nil
	case *time.Time:
		return v.UTC().Format(time.RFC3339), nil
	case []any:
		texts := make([]string, len(v))
		for i := range v {
			var err error
			if texts[i], err = plainValue(v[i]); err != nil {
				return "", err
			}
		}
		return strings.Join(texts, ","), nil
	}
	return "", fmt.Errorf("it is a %T, not text", v)
}
