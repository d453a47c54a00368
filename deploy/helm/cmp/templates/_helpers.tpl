{{- define "cmp.labels" -}}
app.kubernetes.io/name: cmp
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cmp.metadata" -}}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "cmp.labels" . | nindent 2 }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .Release.Service }}
  helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "cmp.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What every container of CMP has: settings, and no right on its node. */}}
{{- define "cmp.container" -}}
image: {{ include "cmp.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - secretRef:
      name: {{ .Values.existingSecret }}
env:
  - {name: CMP_KUBERNETES, value: in-cluster}
  - {name: CMP_WORKER, value: separate}
  {{- if .Values.metrics.enabled }}
  - {name: CMP_METRICS_HOST, value: 0.0.0.0}
  - {name: CMP_METRICS_PORT, value: "9000"}
  {{- end }}
  {{- range $name, $value := .Values.settings }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - {name: data, mountPath: /var/lib/cmp}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "cmp.pod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
enableServiceLinks: false
volumes:
  - {name: data, emptyDir: {}}
  - {name: tmp, emptyDir: {}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "cmp.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "cmp.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
{{- end }}
