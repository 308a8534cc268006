{{/* Objects that master and agent both have: (list . .Values.master "master"). */}}

{{- define "atlhyper.podDisruptionBudget" -}}
{{- $top := index . 0 -}}
{{- $component := index . 2 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "atlhyper.component" (list $top $component) }}
  namespace: {{ $top.Release.Namespace }}
  labels: {{- include "atlhyper.labels" (list $top $component) | nindent 4 }}
spec:
  maxUnavailable: {{ (index . 1).podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready anyway never holds up a drain.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "atlhyper.selector" (list $top $component) | nindent 6 }}
{{- end -}}

{{- define "atlhyper.metricsService" -}}
{{- $top := index . 0 -}}
{{- $component := index . 2 -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "atlhyper.component" (list $top $component) }}-metrics
  namespace: {{ $top.Release.Namespace }}
  labels:
    {{- include "atlhyper.labels" (list $top $component) | nindent 4 }}
    atlhyper.io/metrics: "true"
spec:
  clusterIP: None
  # What a pod that is not ready has to tell is worth most.
  publishNotReadyAddresses: true
  selector: {{- include "atlhyper.selector" (list $top $component) | nindent 4 }}
  ports:
    - {name: metrics, port: 9090, targetPort: metrics, protocol: TCP, appProtocol: http}
{{- end -}}

{{- define "atlhyper.serviceMonitor" -}}
{{- $top := index . 0 -}}
{{- $component := index . 2 -}}
{{- $monitor := $top.Values.monitoring.serviceMonitor -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "atlhyper.component" (list $top $component) }}
  namespace: {{ $top.Release.Namespace }}
  labels:
    {{- include "atlhyper.labels" (list $top $component) | nindent 4 }}
    {{- with $monitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "atlhyper.selector" (list $top $component) | nindent 6 }}
      atlhyper.io/metrics: "true"
  namespaceSelector: {matchNames: [{{ $top.Release.Namespace }}]}
  endpoints:
    - port: metrics
      path: /metrics
      interval: {{ $monitor.interval }}
      {{- with $monitor.scrapeTimeout }}
      scrapeTimeout: {{ . }}
      {{- end }}
      {{- if $monitor.honorLabels }}
      honorLabels: true
      {{- end }}
{{- end -}}
