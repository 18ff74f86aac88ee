package trace

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The variables that are looked at here. The libraries know more of them: docs/tracing.md lists those that help.
const (
	varDisabled       = "OTEL_SDK_DISABLED"
	varExporter       = "OTEL_TRACES_EXPORTER"
	varEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	varTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	varProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	varTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	varSampler        = "OTEL_TRACES_SAMPLER"
	varSamplerArg     = "OTEL_TRACES_SAMPLER_ARG"
)

// everyday is where a collector listens when nobody says where.
const everyday = "http://localhost:4318"

var samplers = []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"}

// Endpoint is where spans go, "" when the environment does not ask for them. Its error names the variable that asks for
// something that there is not.
func Endpoint(env func(key string) (string, bool)) (string, error) {
	get := func(key string) string {
		v, _ := env(key)
		return strings.TrimSpace(v)
	}
	exporter := strings.ToLower(get(varExporter))
	name, endpoint := varTracesEndpoint, get(varTracesEndpoint)
	if endpoint == "" {
		name, endpoint = varEndpoint, get(varEndpoint)
	}
	switch {
	case strings.EqualFold(get(varDisabled), "true"), exporter == "none", exporter == "" && endpoint == "":
		return "", nil
	case exporter != "" && exporter != "otlp":
		return "", fmt.Errorf("%s is %q, and this program knows otlp and none", varExporter, exporter)
	}
	protocol := get(varTracesProtocol)
	if protocol == "" {
		protocol = get(varProtocol)
	}
	if protocol != "" && protocol != "http/protobuf" {
		return "", fmt.Errorf("%s is %q, and this program speaks http/protobuf only (collectors take it at port 4318)", varProtocol, protocol)
	}
	if endpoint == "" {
		name, endpoint = varEndpoint, everyday
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%s is not a URL that begins with http:// or https:// and a host, such as %s", name, everyday)
	}
	if err := checkSampler(get(varSampler), get(varSamplerArg)); err != nil {
		return "", err
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), nil
}

func checkSampler(sampler, arg string) error {
	if sampler == "" {
		return nil
	}
	if !slices.Contains(samplers, strings.ToLower(sampler)) {
		return fmt.Errorf("%s is %q and none of %s", varSampler, sampler, strings.Join(samplers, ", "))
	}
	if arg == "" || !strings.Contains(strings.ToLower(sampler), "ratio") {
		return nil
	}
	if ratio, err := strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
		return fmt.Errorf("%s is %q and no number from 0 to 1", varSamplerArg, arg)
	}
	return nil
}

func oneLine(err error) string {
	const most = 300
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
