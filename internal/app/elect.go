package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"os"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/leader"
)

// elector is the way to choose one of several replicas, nil when this is the only one.
func (a *app) elector(cfg *config.Config) func(context.Context) (daemon.Elector, error) {
	ha := cfg.HA
	var before func(context.Context) error
	if a.yield != nil {
		before = func(ctx context.Context) error { return a.yield(ctx, ha.RetryPeriod.Std()) }
	}
	switch ha.Mode {
	case config.HAKubernetes:
		return func(context.Context) (daemon.Elector, error) {
			return leader.NewKubernetes(leader.KubernetesOptions{
				Kubeconfig: ha.Kubeconfig, Namespace: ha.Namespace, Name: ha.Lease, Identity: identity(), Before: before, Log: a.log,
				LeaseDuration: ha.LeaseDuration.Std(), RenewDeadline: ha.RenewDeadline.Std(), RetryPeriod: ha.RetryPeriod.Std(),
			})
		}
	case config.HAPostgres:
		return func(ctx context.Context) (daemon.Elector, error) {
			return leader.NewPostgres(ctx, leader.PostgresOptions{
				DSN: cfg.State.DSN.Reveal, Name: ha.Lease, LeaseDuration: ha.LeaseDuration.Std(), RetryPeriod: ha.RetryPeriod.Std(), Before: before,
			})
		}
	}
	return nil
}

// identity names this process among the replicas: the pod, and something new for each start of its container.
func identity() string {
	host, _ := os.Hostname()
	return cmp.Or(os.Getenv("POD_NAME"), host, "unknown") + "_" + rand.Text()[:8]
}
