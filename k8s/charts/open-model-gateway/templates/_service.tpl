{{/* Deployment, Service, PodDisruptionBudget and HorizontalPodAutoscaler of one service: {root, component, values, secrets, portSetting} */}}
{{- define "omg.service" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $name := printf "%s-%s" (include "omg.fullname" $root) .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "omg.labels" . | nindent 4 }}
spec:
  {{- if not (or $values.autoscaling.enabled (dig "keda" "enabled" false $values)) }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    # A new pod is ready before an old one goes.
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels: {{- include "omg.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "omg.labels" . | nindent 8 }}
      annotations:
        {{- if and $root.Values.secrets.create (not $root.Values.trial.enabled) }}
        checksum/secrets: {{ $root.Values.secrets | toJson | sha256sum }}
        {{- end }}
        checksum/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
        {{- with $values.podAnnotations }}{{ toYaml . | nindent 8 }}{{- end }}
    spec:
      serviceAccountName: {{ include "omg.serviceAccountName" $root }}
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext: {{- include "omg.podSecurityContext" $root | nindent 8 }}
      {{- if $root.Values.topologySpread.enabled }}
      topologySpreadConstraints:
        {{- $selector := include "omg.selectorLabels" . }}
        {{- range $root.Values.topologySpread.topologyKeys }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- $selector | nindent 14 }}
          # The pods of a new revision spread among themselves, not around those that are about to go.
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "omg.image" . }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [dist/main.js, --config, /etc/omg/router.yaml]
          securityContext: {{- include "omg.containerSecurityContext" $root | nindent 12 }}
          ports:
            - { name: http, containerPort: {{ $values.port }} }
            {{- with $root.Values.metrics.port }}
            - { name: metrics, containerPort: {{ . }} }
            {{- end }}
          env:
            - { name: PORT, value: {{ $values.port | quote }} }
            {{- include "omg.secretEnv" (dict "root" $root "names" .secrets) | nindent 12 }}
            {{- if and (eq .component "admin-api") (include "omg.trialBootstrap" $root) }}
            {{- range $list := list "tenants" "admin_users" "memberships" "api_keys" }}
            - name: ROUTER_BOOTSTRAP_{{ upper $list }}
              valueFrom: { secretKeyRef: { name: {{ include "omg.secretName" $root }}, key: bootstrap-{{ $list | replace "_" "-" }} } }
            {{- end }}
            {{- end }}
            {{- with $values.extraEnv }}{{ toYaml . | nindent 12 }}{{- end }}
          startupProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 2, failureThreshold: 60 }
          livenessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 3 }
          readinessProbe: { httpGet: { path: /readyz, port: http }, periodSeconds: 3, timeoutSeconds: 3, failureThreshold: 2 }
          resources: {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: config, mountPath: /etc/omg, readOnly: true }
            - { name: tmp, mountPath: /tmp }
            {{- if $values.spool }}
            - { name: spool, mountPath: /var/spool/omg }
            {{- end }}
            {{- with $root.Values.extraVolumeMounts }}{{ toYaml . | nindent 12 }}{{- end }}
      volumes:
        - { name: config, configMap: { name: {{ include "omg.fullname" $root }} } }
        - { name: tmp, emptyDir: { sizeLimit: 64Mi } }
        {{- if $values.spool }}
        - { name: spool, emptyDir: { sizeLimit: {{ $values.spool.sizeLimit }} } }
        {{- end }}
        {{- with $root.Values.extraVolumes }}{{ toYaml . | nindent 8 }}{{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels: {{- include "omg.labels" . | nindent 4 }}
  {{- if eq .component "edge-gateway" }}
  {{- with $root.Values.service.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
spec:
  type: {{ ternary $root.Values.service.type "ClusterIP" (eq .component "edge-gateway") }}
  selector: {{- include "omg.selectorLabels" . | nindent 4 }}
  ports:
    - { name: http, port: {{ $values.port }}, targetPort: http, appProtocol: http }
{{- if and $root.Values.serviceMonitor.enabled $root.Values.metrics.port }}
---
# For the scraper alone: a port of the Service above would be as public as that is.
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}-metrics
  labels: {{- include "omg.labels" . | nindent 4 }}
    open-model-gateway/scraped: "true"
spec:
  clusterIP: None
  selector: {{- include "omg.selectorLabels" . | nindent 4 }}
  ports:
    - { name: metrics, port: {{ $root.Values.metrics.port }}, targetPort: metrics }
{{- end }}
{{- if $values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels: {{- include "omg.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ $values.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready serves nobody: it must not keep a node from being emptied.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "omg.selectorLabels" . | nindent 6 }}
{{- end }}
{{- if $values.autoscaling.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  labels: {{- include "omg.labels" . | nindent 4 }}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: {{ $name }} }
  minReplicas: {{ $values.autoscaling.minReplicas }}
  maxReplicas: {{ $values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource: { name: cpu, target: { type: Utilization, averageUtilization: {{ $values.autoscaling.targetCPUUtilizationPercentage }} } }
    {{- if gt (int $values.autoscaling.targetRequestsInFlight) 0 }}
    - type: Pods
      pods:
        metric: { name: open_model_gateway_requests_in_flight }
        target: { type: AverageValue, averageValue: {{ $values.autoscaling.targetRequestsInFlight | quote }} }
    {{- end }}
  behavior:
    # Streams are long: pods go slowly, so that their streams can end.
    scaleDown: { stabilizationWindowSeconds: 300, policies: [{ type: Pods, value: 1, periodSeconds: 60 }] }
{{- end }}
{{- end -}}
