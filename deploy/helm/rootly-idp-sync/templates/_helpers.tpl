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

{{/* The configurations by the names of their pipelines; a single one has none. */}}
{{- define "sync.configs" -}}
{{- if .Values.pipelines }}
{{- toYaml .Values.pipelines }}
{{- else }}
{{- dict "" .Values.config | toYaml }}
{{- end }}
{{- end }}

{{/* What has http and health: the process of several pipelines, or the one configuration. */}}
{{- define "sync.process" -}}
{{- toYaml (ternary .Values.process .Values.config (gt (len .Values.pipelines) 0)) }}
{{- end }}

{{/* Where the ledger of a configuration is: none, postgres or file. */}}
{{- define "sync.stateOf" -}}
{{- $state := default dict .state }}
{{- if kindIs "string" $state }}none
{{- else if or $state.dsn $state.dsn_file }}postgres
{{- else }}file
{{- end }}
{{- end }}

{{/* Where the ledgers are: file as soon as one of them is. */}}
{{- define "sync.state" -}}
{{- $all := list }}
{{- range $config := include "sync.configs" . | fromYaml }}
{{- $all = append $all (include "sync.stateOf" $config) }}
{{- end }}
{{- if has "file" $all }}file
{{- else if has "none" $all }}none
{{- else }}postgres
{{- end }}
{{- end }}

{{/* How the leader is chosen, which is the same for all pipelines. */}}
{{- define "sync.ha" -}}
{{- $all := list }}
{{- range $config := include "sync.configs" . | fromYaml }}
{{- $all = append $all (dig "ha" "mode" "none" $config) }}
{{- end }}
{{- if gt (len (uniq $all)) 1 }}
{{- fail (printf "pipelines: ha.mode has to be the same in all of them, and is %s" (join ", " (uniq $all | sortAlpha))) }}
{{- end }}
{{- first $all }}
{{- end }}

{{/* Whether an address is on loopback, where neither kubelet nor a Service gets to. */}}
{{- define "sync.loopback" -}}
{{- if has (regexReplaceAll ":[0-9]+$" . "") (list "127.0.0.1" "localhost" "[::1]") }}yes{{ end }}
{{- end }}

{{/* The port of the probes; empty when they are switched off. */}}
{{- define "sync.healthPort" -}}
{{- $address := dig "health" "listen" ":8081" (include "sync.process" . | fromYaml) }}
{{- if include "sync.loopback" $address }}
{{- fail (printf "config.health.listen: on %s no probe reaches it; write %s" $address (regexFind ":[0-9]+$" $address)) }}
{{- end }}
{{- regexFind "[0-9]+$" $address }}
{{- end }}

{{/* The port of the page; empty when there is none, or only for kubectl port-forward. */}}
{{- define "sync.httpPort" -}}
{{- $address := dig "http" "listen" "127.0.0.1:8080" (include "sync.process" . | fromYaml) }}
{{- if not (include "sync.loopback" $address) }}
{{- regexFind "[0-9]+$" $address }}
{{- end }}
{{- end }}

{{/* A configuration as the program reads it: the values, with what only the chart knows. Of a list of the chart, the pipeline's name
and its values. */}}
{{- define "sync.config" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- $config := deepCopy (index . 2) }}
{{- if eq (include "sync.stateOf" $config) "file" }}
{{- $_ := set $config "state" (merge (default dict $config.state) (dict "path" (printf "/data/%s.db" (default "state" $name)))) }}
{{- end }}
{{- if and (eq $root.Values.mode "cronjob") (not $config.schedule) }}
{{- $_ := set $config "schedule" $root.Values.cronjob.schedule }}
{{- end }}
{{- if ne (dig "ha" "mode" "none" $config) "none" }}
{{- $_ := set $config "ha" (merge $config.ha (dict "lease" (include "sync.fullname" $root))) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* What the program or Kubernetes would take amiss only later is refused here. */}}
{{- define "sync.check" -}}
{{- $state := include "sync.state" . }}
{{- $ha := include "sync.ha" . }}
{{- if and .Values.process (not .Values.pipelines) }}
{{- fail "process: is for several pipelines; write http and health into config" }}
{{- end }}
{{- range $name, $config := include "sync.configs" . | fromYaml }}
{{- include "sync.checkOne" (list $ $name $config) }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (or (ne .Values.mode "deployment") (ne $state "postgres") (eq $ha "none")) }}
{{- fail (printf "replicas: %d needs mode: deployment, the state in PostgreSQL (config.state.dsn or dsn_file) and config.ha.mode: kubernetes or postgres" (int .Values.replicas)) }}
{{- end }}
{{- if and (eq $ha "kubernetes") (ne .Values.mode "deployment") }}
{{- fail "config.ha.mode: kubernetes is for mode: deployment; a CronJob's runs are kept apart by the writer's lock of the state" }}
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
{{- if and .Values.serviceMonitor.enabled (not (and .Values.service.enabled (include "sync.healthPort" .) (dig "health" "metrics" false (include "sync.process" . | fromYaml)))) }}
{{- fail "serviceMonitor.enabled needs service.enabled, config.health.listen and config.health.metrics: true" }}
{{- end }}
{{- end }}

{{/* The same for one configuration: of a list of the chart, the pipeline's name and the values. */}}
{{- define "sync.checkOne" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- $config := index . 2 }}
{{- $ha := dig "ha" "mode" "none" $config }}
{{- $at := ternary (printf "pipelines.%s" $name) "config" (ne $name "") }}
{{- if not $config.mode }}
{{- fail (printf "%s.mode is missing, and there is no default: write observe (plans and reports, and never writes to Rootly) or apply (writes what the guard lets through)" $at) }}
{{- end }}
{{- if and (ne $ha "none") (ne (include "sync.stateOf" $config) "postgres") }}
{{- fail (printf "%s.ha.mode: %s needs the state in PostgreSQL (%s.state.dsn or dsn_file): a file cannot be shared" $at $ha $at) }}
{{- end }}
{{- if dig "ha" "namespace" "" $config }}
{{- fail (printf "%s.ha.namespace: the Lease is where the release is, and the chart's role with it; leave it out" $at) }}
{{- end }}
{{- if and $name (or (hasKey $config "http") (hasKey $config "health")) }}
{{- fail (printf "%s: http and health belong to the process, which has them once; write them into process" $at) }}
{{- end }}
{{- $lease := include "sync.lease" . }}
{{- if and (ne $ha "none") (gt (len $lease) 63) }}
{{- fail (printf "%s: the name of its lease, %s, is longer than 63 characters; give it a shorter ha.lease, or a shorter name" $at $lease) }}
{{- end }}
{{- $grace := default "25s" $config.grace | toString }}
{{- if not (regexMatch "^[0-9]+(s|m)$" $grace) }}
{{- fail (printf "%s.grace: write %s in whole seconds or minutes, such as 25s or 1m, so that it can be compared with terminationGracePeriodSeconds" $at $grace) }}
{{- end }}
{{- $seconds := mul (regexFind "^[0-9]+" $grace | int) (ternary 60 1 (hasSuffix "m" $grace)) }}
{{- if le (int $root.Values.terminationGracePeriodSeconds) (int $seconds) }}
{{- fail (printf "terminationGracePeriodSeconds: %d has to be longer than %s.grace, %s" (int $root.Values.terminationGracePeriodSeconds) $at $grace) }}
{{- end }}
{{- end }}

{{/* The lease of a configuration, as the program names it. Of the same list. */}}
{{- define "sync.lease" -}}
{{- $base := dig "ha" "lease" (include "sync.fullname" (index . 0)) (index . 2) }}
{{- ternary (printf "%s-%s" $base (index . 1)) $base (ne (index . 1) "") }}
{{- end }}
