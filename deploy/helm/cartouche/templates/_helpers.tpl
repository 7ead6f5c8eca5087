{{- define "cartouche.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "cartouche.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "cartouche.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "cartouche.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels that select pods. Takes root and component. */}}
{{- define "cartouche.selector" -}}
app.kubernetes.io/name: {{ include "cartouche.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The metadata of an object. Takes root, component, name, and annotations. */}}
{{- define "cartouche.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "cartouche.selector" . | nindent 2 }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
  {{- with .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mustMergeOverwrite (dict) .root.Values.commonAnnotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "cartouche.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cartouche.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ include "cartouche.fullname" . }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "cartouche.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "cartouche.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The settings that are no secrets: one ConfigMap for the pods, one for what runs before them. */}}
{{- define "cartouche.settings" -}}
CARTOUCHE_SERVER: {{ printf "dns:///%s-server.%s.svc.%s:50051" (include "cartouche.fullname" .) .Release.Namespace .Values.clusterDomain | quote }}
CARTOUCHE_METRICS_PORT: {{ .Values.metrics.port | quote }}
CARTOUCHE_S3_ENDPOINT: {{ .Values.store.endpoint | quote }}
CARTOUCHE_S3_PUBLIC_ENDPOINT: {{ .Values.store.publicEndpoint | default .Values.store.endpoint | quote }}
CARTOUCHE_S3_REGION: {{ .Values.store.region | quote }}
CARTOUCHE_S3_ADDRESSING_STYLE: {{ .Values.store.addressingStyle | quote }}
CARTOUCHE_S3_SERVER_SIDE_ENCRYPTION: {{ .Values.store.serverSideEncryption | quote }}
CARTOUCHE_S3_KMS_KEY_ID: {{ .Values.store.kmsKeyId | quote }}
CARTOUCHE_S3_CORS_ORIGINS: {{ .Values.store.corsOrigins | quote }}
CARTOUCHE_S3_IMAGES_BUCKET: {{ .Values.store.imagesBucket | quote }}
CARTOUCHE_S3_EXPORTS_BUCKET: {{ .Values.store.exportsBucket | quote }}
{{- range $name, $value := .Values.settings }}
CARTOUCHE_{{ $name | snakecase | upper }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* One variable from a secret. Takes name, secret, key. */}}
{{- define "cartouche.fromSecret" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret | quote }}, key: {{ .key | quote }}}}
{{- end -}}

{{/* The variables that come from secrets, for whatever uses the record. */}}
{{- define "cartouche.secrets" -}}
{{- include "cartouche.fromSecret" (dict "name" "CARTOUCHE_DATABASE_URL" "secret" .Values.database.existingSecret "key" .Values.database.key) }}
{{ include "cartouche.fromSecret" (dict "name" "CARTOUCHE_BROKER_URL" "secret" .Values.broker.existingSecret "key" .Values.broker.key) }}
{{- with .Values.store }}
{{- if .existingSecret }}
{{ include "cartouche.fromSecret" (dict "name" "CARTOUCHE_S3_ACCESS_KEY" "secret" .existingSecret "key" .accessKeyKey) }}
{{ include "cartouche.fromSecret" (dict "name" "CARTOUCHE_S3_SECRET_KEY" "secret" .existingSecret "key" .secretKeyKey) }}
{{- end }}
{{- if .signing.existingSecret }}
{{ include "cartouche.fromSecret" (dict "name" "CARTOUCHE_S3_SIGNING_ACCESS_KEY" "secret" .signing.existingSecret "key" .signing.accessKeyKey) }}
{{ include "cartouche.fromSecret" (dict "name" "CARTOUCHE_S3_SIGNING_SECRET_KEY" "secret" .signing.existingSecret "key" .signing.secretKeyKey) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where TLS is on: the files of a pod that serves gRPC or calls it, by the volume that holds them.
Takes root and tls (server, caller). */}}
{{- define "cartouche.tlsVolumes" -}}
{{- with .root.Values.tls }}
{{- $pair := list (dict "key" .certificateKey "path" "tls.crt") (dict "key" .keyKey "path" "tls.key") }}
{{- $ca := list (dict "key" .caKey "path" "ca.crt") }}
{{- if .existingSecret }}
{{- if eq $.tls "server" }}
server: {secretName: {{ .existingSecret | quote }}, items: {{ toJson $pair }}}
{{- if .client.existingSecret }}
callers: {secretName: {{ .client.existingSecret | quote }}, items: {{ toJson $ca }}}
{{- end }}
{{- else if eq $.tls "caller" }}
trusted: {secretName: {{ .existingSecret | quote }}, items: {{ toJson $ca }}}
{{- if .client.existingSecret }}
client: {secretName: {{ .client.existingSecret | quote }}, items: {{ toJson $pair }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The variables that name these files. */}}
{{- define "cartouche.tlsVariables" -}}
{{- $files := dict "server" (dict "CARTOUCHE_GRPC_CERTIFICATE" "tls.crt" "CARTOUCHE_GRPC_KEY" "tls.key") "callers" (dict "CARTOUCHE_GRPC_CLIENT_CA" "ca.crt") "trusted" (dict "CARTOUCHE_SERVER_CA" "ca.crt") "client" (dict "CARTOUCHE_CLIENT_CERTIFICATE" "tls.crt" "CARTOUCHE_CLIENT_KEY" "tls.key") }}
{{- range $volume, $_ := include "cartouche.tlsVolumes" . | fromYaml }}
{{- range $name, $file := get $files $volume }}
- {name: {{ $name }}, value: /etc/cartouche/tls/{{ $volume }}/{{ $file }}}
{{- end }}
{{- end }}
{{- end -}}

{{/*
A pod of Cartouche: its metadata and its spec.
Takes root, component, part (its values), command, secrets (whether it uses the record), config (the
ConfigMap), account, tls (server, caller or nothing), and, where they are not the usual, ports, probes and variables in YAML.
*/}}
{{- define "cartouche.pod" -}}
{{- $values := .root.Values }}
{{- $at := dict "root" .root "tls" (.tls | default "") }}
{{- $tls := include "cartouche.tlsVolumes" $at | fromYaml }}
metadata:
  labels:
    {{- include "cartouche.selector" . | nindent 4 }}
    {{- with mustMergeOverwrite (dict) $values.commonLabels $values.podLabels (.part.podLabels | default dict) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "cartouche.settings" .root | sha256sum }}
    {{- with mustMergeOverwrite (dict) $values.commonAnnotations $values.podAnnotations (.part.podAnnotations | default dict) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ .account }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "cartouche.podSecurity" . | nindent 4 }}
  {{- with .part.terminationGracePeriodSeconds }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with .part.priorityClassName | default $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .part.nodeSelector | default $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .part.tolerations | default $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .part.affinity | default $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if not .restartPolicy }}
  {{- with .part.topologySpreadConstraints | default $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{- toYaml . | nindent 6 }}
      labelSelector:
        matchLabels:
          {{- include "cartouche.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- end }}
  containers:
    - name: {{ .container | default .component }}
      image: {{ include "cartouche.image" .root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      {{- toYaml .command | nindent 6 }}
      securityContext:
        {{- include "cartouche.containerSecurity" . | nindent 8 }}
      envFrom:
        - configMapRef: {name: {{ .config }}}
        {{- with concat $values.envFrom (.part.envFrom | default list) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- $variables := concat $values.env (.part.env | default list) (.variables | default list) (include "cartouche.tlsVariables" $at | fromYamlArray) }}
      {{- if or .secrets $variables }}
      env:
        {{- if .secrets }}
        {{- include "cartouche.secrets" .root | nindent 8 }}
        {{- end }}
        {{- with $variables }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- with .ports }}
      ports:
        {{- range $name, $port := . }}
        - {name: {{ $name }}, containerPort: {{ $port }}}
        {{- end }}
      {{- end }}
      {{- with .probes }}
      startupProbe:
        {{- toYaml .live | nindent 8 }}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 60
      livenessProbe:
        {{- toYaml .live | nindent 8 }}
        periodSeconds: 15
        timeoutSeconds: 5
        failureThreshold: 4
      readinessProbe:
        {{- toYaml .ready | nindent 8 }}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      {{- end }}
      {{- with .part.preStopSeconds }}
      lifecycle:
        preStop: {exec: {command: [sleep, {{ . | quote }}]}}
      {{- end }}
      resources:
        {{- toYaml .part.resources | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- range $name, $_ := $tls }}
        - {name: tls-{{ $name }}, mountPath: /etc/cartouche/tls/{{ $name }}, readOnly: true}
        {{- end }}
        {{- with concat $values.extraVolumeMounts (.part.extraVolumeMounts | default list) }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: {{ add (.part.importSpace | default 128) 128 }}Mi}
    {{- range $name, $secret := $tls }}
    - name: tls-{{ $name }}
      secret: {{ merge (dict "defaultMode" 288) $secret | toJson }}
    {{- end }}
    {{- with concat $values.extraVolumes (.part.extraVolumes | default list) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Every mistake in the values, in one message. */}}
{{- define "cartouche.check" -}}
{{- $faults := list -}}
{{- with .Values -}}
{{- if not .image.repository }}{{ $faults = append $faults "image.repository: name the image that you built" }}{{ end -}}
{{- if not .database.existingSecret }}{{ $faults = append $faults "database.existingSecret: name the secret with the URL of PostgreSQL" }}{{ end -}}
{{- if not .broker.existingSecret }}{{ $faults = append $faults "broker.existingSecret: name the secret with the URL of RabbitMQ or Redis" }}{{ end -}}
{{- if not .store.endpoint }}{{ $faults = append $faults "store.endpoint: give http(s)://host:port of the S3 store" }}{{ end -}}
{{- if eq (empty .store.existingSecret) (not .store.platformCredentials) }}{{ $faults = append $faults "store.existingSecret: name the secret with the keys of the S3 store, or set store.platformCredentials, and not both" }}{{ end -}}
{{- if and .tls.client.existingSecret (not .tls.existingSecret) }}{{ $faults = append $faults "tls.existingSecret: name the secret of the server's certificate, without which callers show none" }}{{ end -}}
{{- if and .store.kmsKeyId (ne .store.serverSideEncryption "aws:kms") }}{{ $faults = append $faults "store.kmsKeyId: is the key of aws:kms, so set store.serverSideEncryption to that" }}{{ end -}}
{{- if and .ingress.enabled (not .ingress.host) }}{{ $faults = append $faults "ingress.host: give the host name of the gateway" }}{{ end -}}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) }}{{ $faults = append $faults "httpRoute.parentRefs: name the Gateway" }}{{ end -}}
{{- if not .workers }}{{ $faults = append $faults "workers: keep one group at least, or nothing is ever built" }}{{ end -}}
{{- $lanes := list -}}
{{- range $_, $own := .workers }}{{ $lanes = append $lanes (($own | default dict).lanes | default $.Values.worker.lanes) }}{{ end -}}
{{- range $missing := list "short" "long" -}}
{{- if and $.Values.workers (not (or (has "all" $lanes) (has $missing $lanes))) }}{{ $faults = append $faults (printf "workers: no group takes the lane %s, so such exports are never built: give one the lanes %s or all" $missing $missing) }}{{ end -}}
{{- end -}}
{{- range $name, $_ := .settings -}}
{{- if regexMatch "(?i)(url|key)$" $name }}{{ $faults = append $faults (printf "settings.%s: may be a secret, so give it by one (existingSecret, env)" $name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\nThe values cannot work:\n  - %s\n" (join "\n  - " $faults)) -}}
{{- end -}}
{{- end -}}
