{{- define "omg.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "omg.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "omg.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "omg.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "omg.selectorLabels" -}}
app.kubernetes.io/name: {{ include "omg.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "omg.labels" -}}
{{ include "omg.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "omg.image" -}}
{{ .root.Values.image.registry }}/{{ .root.Values.image.repository }}/{{ .component }}:{{ default .root.Chart.AppVersion .root.Values.image.tag }}
{{- end -}}

{{- define "omg.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}{{ default (include "omg.fullname" .) .Values.serviceAccount.name }}{{- else -}}{{ default "default" .Values.serviceAccount.name }}{{- end -}}
{{- end -}}

{{- define "omg.secretName" -}}
{{- if .Values.secrets.existingSecret -}}{{ .Values.secrets.existingSecret }}{{- else -}}{{ include "omg.fullname" . }}{{- end -}}
{{- end -}}

{{/* The restricted pod security standard. */}}
{{- define "omg.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "omg.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Each service gets only the secrets that it uses: the edge never learns where Postgres is. */}}
{{- define "omg.secretEnv" -}}
{{- $root := .root -}}
{{- $variables := dict "redisUrl" "ROUTER_REDIS_URL" "natsUrl" "ROUTER_NATS_URL" "databaseUrl" "ROUTER_DATABASE_URL" "apiKeyPepper" "ROUTER_SECRETS_API_KEY_PEPPER" "encryptionKeys" "ROUTER_SECRETS_ENCRYPTION_KEYS" "jwtSecret" "ROUTER_ADMIN_SESSION_JWT_SECRET" -}}
{{- range .names }}
- name: {{ get $variables . }}
  valueFrom: { secretKeyRef: { name: {{ include "omg.secretName" $root }}, key: {{ get $root.Values.secrets.keys . }} } }
{{- end }}
{{- range $variable, $key := $root.Values.secrets.extra }}
- name: {{ $variable }}
  valueFrom: { secretKeyRef: { name: {{ include "omg.secretName" $root }}, key: {{ $key }} } }
{{- end }}
{{- end -}}

{{/* Whether a trial makes its own first tenant, administrator and key. */}}
{{- define "omg.trialBootstrap" -}}
{{- if and .Values.trial.enabled (not .Values.secrets.existingSecret) (not (hasKey .Values.config "bootstrap")) }}true{{ end -}}
{{- end -}}

{{/* Whole seconds of a duration such as 300s or 5m; of any other form 0, which checks nothing. */}}
{{- define "omg.seconds" -}}
{{- $text := toString . -}}
{{- if regexMatch "^[0-9]+$" $text -}}{{ $text }}
{{- else if regexMatch "^[0-9]+s$" $text -}}{{ trimSuffix "s" $text }}
{{- else if regexMatch "^[0-9]+m$" $text -}}{{ mul 60 (int (trimSuffix "m" $text)) }}
{{- else -}}0{{- end -}}
{{- end -}}
