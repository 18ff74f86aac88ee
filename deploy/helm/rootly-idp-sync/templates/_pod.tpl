{{/* The pod of either workload. */}}
{{- define "sync.pod" -}}
{{- $health := include "sync.healthPort" . }}
{{- $http := include "sync.httpPort" . -}}
metadata:
  labels:
    {{- include "sync.labels" . | nindent 4 }}
    {{- if .Values.workloadIdentity.azure.clientId }}
    azure.workload.identity/use: "true"
    {{- end }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if eq .Values.mode "cronjob" }}
  restartPolicy: Never
  {{- end }}
  serviceAccountName: {{ include "sync.serviceAccount" . }}
  # Only whoever elects a leader by the API server talks to it.
  automountServiceAccountToken: {{ eq (include "sync.ha" .) "kubernetes" }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    # Lets the group read the mounted secrets, which nobody else may.
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: rootly-idp-sync
      image: {{ include "sync.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - run
        {{- if eq .Values.mode "cronjob" }}
        - --once
        {{- end }}
        {{- if .Values.pipelines }}
        - --config-dir=/etc/rootly-idp-sync
        {{- else }}
        - --config=/etc/rootly-idp-sync/rootly-idp-sync.yaml
        {{- end }}
        - --log-format=json
      {{- with .Values.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.secrets.env }}
      envFrom:
        {{- range . }}
        - secretRef:
            name: {{ . }}
        {{- end }}
      {{- end }}
      {{- if and (eq .Values.mode "deployment") (or $health $http) }}
      ports:
        {{- if $health }}
        - name: health
          containerPort: {{ $health }}
        {{- end }}
        {{- if $http }}
        - name: http
          containerPort: {{ $http }}
        {{- end }}
      {{- end }}
      {{- if and (eq .Values.mode "deployment") $health }}
      startupProbe:
        httpGet:
          path: /healthz
          port: health
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet:
          path: /healthz
          port: health
        periodSeconds: 20
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet:
          path: /readyz
          port: health
        periodSeconds: 10
        timeoutSeconds: 5
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        # Whole folders: Kubernetes never updates a subPath mount.
        - name: config
          mountPath: /etc/rootly-idp-sync
          readOnly: true
        {{- range $i, $name := .Values.secrets.files }}
        - name: secret-{{ $i }}
          mountPath: /secrets/{{ $name }}
          readOnly: true
        {{- end }}
        {{- if eq (include "sync.state" .) "file" }}
        - name: data
          mountPath: /data
        {{- end }}
        - name: tmp
          mountPath: /tmp
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "sync.fullname" . }}
    {{- range $i, $name := .Values.secrets.files }}
    - name: secret-{{ $i }}
      secret:
        secretName: {{ $name }}
        defaultMode: 0440
    {{- end }}
    {{- if eq (include "sync.state" .) "file" }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ default (include "sync.fullname" .) .Values.persistence.existingClaim }}
    {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if gt (int .Values.replicas) 1 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "sync.selector" . | nindent 10 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
{{- end }}
