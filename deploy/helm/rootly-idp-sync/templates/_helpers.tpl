{{- define "sync.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "sync.fullname" -}}
{{- $name := include "sync.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "sync.selector" -}}
app.kubernetes.io/name: {{ include "sync.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sync.labels" -}}
{{ include "sync.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sync.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "sync.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "sync.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Where the ledger is: none, postgres or file. */}}
{{- define "sync.state" -}}
{{- $state := default dict .Values.config.state }}
{{- if kindIs "string" $state }}none
{{- else if or $state.dsn $state.dsn_file }}postgres
{{- else }}file
{{- end }}
{{- end }}

{{- define "sync.ha" -}}
{{- dig "ha" "mode" "none" .Values.config }}
{{- end }}

{{/* Whether an address is on loopback, where neither kubelet nor a Service gets to. */}}
{{- define "sync.loopback" -}}
{{- if has (regexReplaceAll ":[0-9]+$" . "") (list "127.0.0.1" "localhost" "[::1]") }}yes{{ end }}
{{- end }}

{{/* The port of the probes; empty when they are switched off. */}}
{{- define "sync.healthPort" -}}
{{- $address := dig "health" "listen" ":8081" .Values.config }}
{{- if include "sync.loopback" $address }}
{{- fail (printf "config.health.listen: on %s no probe reaches it; write %s" $address (regexFind ":[0-9]+$" $address)) }}
{{- end }}
{{- regexFind "[0-9]+$" $address }}
{{- end }}

{{/* The port of the page; empty when there is none, or only for kubectl port-forward. */}}
{{- define "sync.httpPort" -}}
{{- $address := dig "http" "listen" "127.0.0.1:8080" .Values.config }}
{{- if not (include "sync.loopback" $address) }}
{{- regexFind "[0-9]+$" $address }}
{{- end }}
{{- end }}

{{/* The configuration as the program reads it: the values, with what only the chart knows. */}}
{{- define "sync.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if eq (include "sync.state" .) "file" }}
{{- $_ := set $config "state" (merge (default dict $config.state) (dict "path" "/data/state.db")) }}
{{- end }}
{{- if and (eq .Values.mode "cronjob") (not $config.schedule) }}
{{- $_ := set $config "schedule" .Values.cronjob.schedule }}
{{- end }}
{{- if ne (include "sync.ha" .) "none" }}
{{- $_ := set $config "ha" (merge $config.ha (dict "lease" (include "sync.fullname" .))) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* What the program or Kubernetes would take amiss only later is refused here. */}}
{{- define "sync.check" -}}
{{- $state := include "sync.state" . }}
{{- $ha := include "sync.ha" . }}
{{- if not .Values.config.mode }}
{{- fail "config.mode is missing, and there is no default: write observe (plans and reports, and never writes to Rootly) or apply (writes what the guard lets through)" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (or (ne .Values.mode "deployment") (ne $state "postgres") (eq $ha "none")) }}
{{- fail (printf "replicas: %d needs mode: deployment, the state in PostgreSQL (config.state.dsn or dsn_file) and config.ha.mode: kubernetes or postgres" (int .Values.replicas)) }}
{{- end }}
{{- if and (ne $ha "none") (ne $state "postgres") }}
{{- fail (printf "config.ha.mode: %s needs the state in PostgreSQL (config.state.dsn or dsn_file): a file cannot be shared" $ha) }}
{{- end }}
{{- if and (eq $ha "kubernetes") (ne .Values.mode "deployment") }}
{{- fail "config.ha.mode: kubernetes is for mode: deployment; a CronJob's runs are kept apart by the writer's lock of the state" }}
{{- end }}
{{- if dig "ha" "namespace" "" .Values.config }}
{{- fail "config.ha.namespace: the Lease is where the release is, and the chart's role with it; leave it out" }}
{{- end }}
{{- if and .Values.podDisruptionBudget.enabled (le (int .Values.replicas) (int .Values.podDisruptionBudget.minAvailable)) }}
{{- fail "podDisruptionBudget: with no more replicas than minAvailable no node could ever be drained" }}
{{- end }}
{{- if and .Values.service.enabled (ne .Values.mode "deployment") }}
{{- fail "service.enabled needs mode: deployment; a CronJob answers nobody" }}
{{- end }}
{{- if and .Values.service.enabled (not (include "sync.healthPort" .)) (not (include "sync.httpPort" .)) }}
{{- fail "service.enabled: nothing listens, give config.health.listen or config.http.listen an address that is not on loopback" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not (and .Values.service.enabled (include "sync.healthPort" .) (dig "health" "metrics" false .Values.config))) }}
{{- fail "serviceMonitor.enabled needs service.enabled, config.health.listen and config.health.metrics: true" }}
{{- end }}
{{- $grace := default "25s" .Values.config.grace | toString }}
{{- if not (regexMatch "^[0-9]+(s|m)$" $grace) }}
{{- fail (printf "config.grace: write %s in whole seconds or minutes, such as 25s or 1m, so that it can be compared with terminationGracePeriodSeconds" $grace) }}
{{- end }}
{{- $seconds := mul (regexFind "^[0-9]+" $grace | int) (ternary 60 1 (hasSuffix "m" $grace)) }}
{{- if le (int .Values.terminationGracePeriodSeconds) (int $seconds) }}
{{- fail (printf "terminationGracePeriodSeconds: %d has to be longer than config.grace, %s" (int .Values.terminationGracePeriodSeconds) $grace) }}
{{- end }}
{{- end }}
