{{/* Labels of the chart's objects. Not app.kubernetes.io/managed-by, which selects executors. */}}
{{- define "labels" -}}
app.kubernetes.io/name: ephemeral-agents-api
app.kubernetes.io/part-of: ephemeral-agents
{{- end }}

{{/* The policy: ours protects what belongs to the server, whose account has the name that was chosen. */}}
{{- define "policy" -}}
{{- .Values.policy | default (.Files.Get "policy.toml" | replace "terrakube-api-service-account" .Values.api.serviceAccountName) }}
{{- end }}

{{/* The URL of the api-server for executors. */}}
{{- define "apiUrl" -}}
{{- if .Values.api.url }}{{ .Values.api.url }}
{{- else if .Values.clusterDNS }}http://ephemeral-agents-api.{{ .Release.Namespace }}.svc:8080
{{- else }}http://$(EPHEMERAL_AGENTS_API_SERVICE_HOST):8080
{{- end }}
{{- end }}

{{/* The environment of the api-server by name: ours, replaced by what api.env gives. Server-side apply rejects
     duplicate names. */}}
{{- define "env" -}}
{{- $image := printf "%s:%s" .Values.executor.image (.Values.executor.version | default .Chart.AppVersion) }}
{{- $env := dict
  "ExecutorEphemeralNamespace" (dict "value" .Release.Namespace)
  "ExecutorEphemeralImage" (dict "value" $image)
  "ExecutorEphemeralSecret" (dict "value" "terrakube-executor-secrets") }}
{{- range .Values.api.env }}
{{- $_ := set $env .name (omit . "name") }}
{{- end }}
{{- if ne (index $env "ExecutorEphemeralNamespace" "value" | default "") .Release.Namespace }}
{{- fail (printf "api.env: ExecutorEphemeralNamespace is %q, but the role of the api-server holds in namespace %q alone; leave it out, or install the release there" (index $env "ExecutorEphemeralNamespace" "value" | default "") .Release.Namespace) }}
{{- end }}
{{- range $name, $entry := $env }}
- name: {{ $name }}
  {{- toYaml $entry | nindent 2 }}
{{- end }}
{{- end }}

{{/* Whether the chart creates an object: not if it exists already, as with the account and the role of the documentation of
     ephemeral executors. Arguments: the context, the version, the kind, the name. */}}
{{- define "isOurs" -}}
{{- $root := index . 0 }}
{{- $found := lookup (index . 1) (index . 2) $root.Release.Namespace (index . 3) }}
{{- if or (not $found) (eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $found) $root.Release.Name) -}}
true
{{- end }}
{{- end }}
