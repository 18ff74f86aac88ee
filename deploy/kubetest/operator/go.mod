// The definitions of the Prometheus operator's kinds, which the chart makes objects of. Nothing of it is compiled.
module github.com/rootly-idp-sync/rootly-idp-sync/deploy/kubetest/operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
