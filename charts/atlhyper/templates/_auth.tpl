{{/* Who may call: flags and files of master.auth. Each takes .Values.master.auth. */}}

{{- define "atlhyper.auth.args" -}}
- --auth={{ .mode }}
{{- if eq .mode "tokens" }}
- --tokens-file=/etc/atlhyper/auth/tokens.yaml
{{- else if eq .mode "oidc" }}
- --oidc-config=/etc/atlhyper/auth/oidc.yaml
{{- with .oidc.issuer }}
- {{ printf "--oidc-issuer=%s" . | quote }}
{{- end }}
{{- with .oidc.audience }}
- {{ printf "--oidc-audience=%s" . | quote }}
{{- end }}
{{- with .oidc.skew }}
- --oidc-skew={{ . }}
{{- end }}
{{- if .oidc.caConfigMap.name }}
- --oidc-ca-file=/etc/atlhyper/oidc-ca/ca.crt
{{- end }}
{{- else }}
- --insecure-no-auth
{{- end }}
{{- end -}}

{{- define "atlhyper.auth.volumes" -}}
{{- if eq .mode "tokens" }}
- name: auth
  secret:
    secretName: {{ .tokensSecret.name | quote }}
    defaultMode: 0440
    items: [{key: {{ .tokensSecret.key | quote }}, path: tokens.yaml}]
{{- else if eq .mode "oidc" }}
- name: auth
  configMap:
    name: {{ .oidc.configMap.name | quote }}
    items: [{key: {{ .oidc.configMap.key | quote }}, path: oidc.yaml}]
{{- if .oidc.caConfigMap.name }}
- name: oidc-ca
  configMap:
    name: {{ .oidc.caConfigMap.name | quote }}
    items: [{key: {{ .oidc.caConfigMap.key | quote }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- end -}}

{{- define "atlhyper.auth.volumeMounts" -}}
{{- if ne .mode "none" }}
- {name: auth, mountPath: /etc/atlhyper/auth, readOnly: true}
{{- end }}
{{- if and (eq .mode "oidc") .oidc.caConfigMap.name }}
- {name: oidc-ca, mountPath: /etc/atlhyper/oidc-ca, readOnly: true}
{{- end }}
{{- end -}}
