module github.com/rootly-idp-sync/rootly-idp-sync/deploy/kubetest

go 1.26.0

require (
	github.com/rootly-idp-sync/rootly-idp-sync v0.0.0
	go.yaml.in/yaml/v3 v3.0.5
)

replace github.com/rootly-idp-sync/rootly-idp-sync => ../..
