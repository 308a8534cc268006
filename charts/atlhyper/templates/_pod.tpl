{{/*
What the pods of master and agent have in common. Each takes (list . .Values.master "master"),
with the component's values and its name.
*/}}

{{/* Flags that say how Redis is reached, and those of config. */}}
{{- define "atlhyper.args" -}}
{{- $top := index . 0 -}}
{{- $values := index . 1 -}}
{{- $redis := $top.Values.redis -}}
{{- if not (include "atlhyper.redis.urlSecret" .) }}
- {{ printf "--redis=%s" $redis.url | quote }}
{{- end }}
{{- with $values.redis.username }}
- {{ printf "--redis-username=%s" . | quote }}
{{- end }}
{{- if $values.redis.passwordSecret.name }}
- --redis-password-file=/etc/atlhyper/redis/password
{{- end }}
{{- with $redis.sentinel.username }}
- {{ printf "--redis-sentinel-username=%s" . | quote }}
{{- end }}
{{- if $redis.sentinel.passwordSecret.name }}
- --redis-sentinel-password-file=/etc/atlhyper/sentinel/password
{{- end }}
{{- if or $redis.tls.caConfigMap.name $redis.tls.caSecret.name }}
- --redis-ca-file=/etc/atlhyper/redis-ca/ca.crt
{{- end }}
{{- if $redis.tls.clientSecret.name }}
- --redis-cert-file=/etc/atlhyper/redis-client/tls.crt
- --redis-key-file=/etc/atlhyper/redis-client/tls.key
{{- end }}
{{- with $redis.tls.serverName }}
- {{ printf "--redis-server-name=%s" . | quote }}
{{- end }}
{{- range $name, $value := $values.config }}
{{- if not (kindIs "invalid" $value) }}
- {{ printf "--%s=%s" (kebabcase $name) (include "atlhyper.flag" $value) | quote }}
{{- end }}
{{- end }}
{{- range $values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Environment variables: what is secret, and what the container may take. */}}
{{- define "atlhyper.env" -}}
{{- $values := index . 1 -}}
# Go's memory limit is the container's: it collects harder before it is killed.
- name: GOMEMLIMIT
  valueFrom:
    resourceFieldRef: {resource: limits.memory}
{{- with include "atlhyper.redis.urlSecret" . | fromYaml }}
{{- if .name }}
- name: ATLHYPER_REDIS
  valueFrom:
    secretKeyRef: {name: {{ .name | quote }}, key: {{ .key | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Volumes with passwords and certificates. */}}
{{- define "atlhyper.volumes" -}}
{{- $redis := (index . 0).Values.redis -}}
{{- $values := index . 1 -}}
{{- with $values.auth }}
{{- include "atlhyper.auth.volumes" . }}
{{- end }}
{{- with $values.redis.passwordSecret }}
{{- if .name }}
- name: redis
  secret:
    secretName: {{ .name | quote }}
    defaultMode: 0440
    items: [{key: {{ .key | quote }}, path: password}]
{{- end }}
{{- end }}
{{- with $redis.sentinel.passwordSecret }}
{{- if .name }}
- name: sentinel
  secret:
    secretName: {{ .name | quote }}
    defaultMode: 0440
    items: [{key: {{ .key | quote }}, path: password}]
{{- end }}
{{- end }}
{{- if $redis.tls.caConfigMap.name }}
- name: redis-ca
  configMap:
    name: {{ $redis.tls.caConfigMap.name | quote }}
    items: [{key: {{ $redis.tls.caConfigMap.key | quote }}, path: ca.crt}]
{{- else if $redis.tls.caSecret.name }}
- name: redis-ca
  secret:
    secretName: {{ $redis.tls.caSecret.name | quote }}
    defaultMode: 0440
    items: [{key: {{ $redis.tls.caSecret.key | quote }}, path: ca.crt}]
{{- end }}
{{- with $redis.tls.clientSecret.name }}
- name: redis-client
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "atlhyper.volumeMounts" -}}
{{- $redis := (index . 0).Values.redis -}}
{{- $values := index . 1 -}}
{{- with $values.auth }}
{{- include "atlhyper.auth.volumeMounts" . }}
{{- end }}
{{- if $values.redis.passwordSecret.name }}
- {name: redis, mountPath: /etc/atlhyper/redis, readOnly: true}
{{- end }}
{{- if $redis.sentinel.passwordSecret.name }}
- {name: sentinel, mountPath: /etc/atlhyper/sentinel, readOnly: true}
{{- end }}
{{- if or $redis.tls.caConfigMap.name $redis.tls.caSecret.name }}
- {name: redis-ca, mountPath: /etc/atlhyper/redis-ca, readOnly: true}
{{- end }}
{{- if $redis.tls.clientSecret.name }}
- {name: redis-client, mountPath: /etc/atlhyper/redis-client, readOnly: true}
{{- end }}
{{- with $values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The containers need no right that a restricted namespace would refuse. */}}
{{- define "atlhyper.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where pods may run. */}}
{{- define "atlhyper.scheduling" -}}
{{- $top := index . 0 -}}
{{- $values := index . 1 -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpread.enabled }}
topologySpreadConstraints:
{{- range $values.topologySpread.topologyKeys }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels: {{- include "atlhyper.selector" (list $top (index $ 2)) | nindent 8 }}
    # Pods of the version before, which go anyway, do not count.
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end -}}

{{/* The pod's metadata and all of its spec that does not differ. */}}
{{- define "atlhyper.podMetadata" -}}
labels:
  {{- include "atlhyper.labels" (list (index . 0) (index . 2)) | nindent 2 }}
  {{- with (index . 1).podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with (index . 1).podAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "atlhyper.podCommon" -}}
{{- $top := index . 0 -}}
enableServiceLinks: false
securityContext: {{- toYaml $top.Values.podSecurityContext | nindent 2 }}
{{- with $top.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "atlhyper.scheduling" . }}
{{- end -}}

{{/* Ports of egress: those of the values and those that the URL of Redis names. */}}
{{- define "atlhyper.egress" -}}
{{- $top := index . 0 -}}
{{- $policy := (index . 1).networkPolicy -}}
{{- $ports := list -}}
{{- range $policy.egressPorts -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- range regexFindAll ":[0-9]+([,/?]|$)" $top.Values.redis.url -1 -}}
{{- $ports = append $ports (regexFind "[0-9]+" . | int) -}}
{{- end -}}
- ports: # names
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
    - {protocol: UDP, port: 5353} # OpenShift, behind the Service
    - {protocol: TCP, port: 5353}
- ports:
{{- range $ports | uniq }}
    - {protocol: TCP, port: {{ . }}}
{{- end }}
{{- with $policy.egress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
