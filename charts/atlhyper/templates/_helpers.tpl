{{/* Names, labels and references that all templates share. */}}

{{- define "atlhyper.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "atlhyper.fullname" -}}
{{- $name := include "atlhyper.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a component's objects are called: takes (list . "master"). */}}
{{- define "atlhyper.component" -}}
{{- printf "%s-%s" (include "atlhyper.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* Labels that never change, by which a component's pods are found: (list . "master"). */}}
{{- define "atlhyper.selector" -}}
app.kubernetes.io/name: {{ include "atlhyper.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of a component's objects: (list . "master"). */}}
{{- define "atlhyper.labels" -}}
{{- $top := index . 0 -}}
{{ include "atlhyper.selector" . }}
app.kubernetes.io/part-of: atlhyper
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version | replace "+" "_" }}
{{- with $top.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A component's image: (list . .Values.master.image). */}}
{{- define "atlhyper.image" -}}
{{- $top := index . 0 -}}
{{- $image := index . 1 -}}
{{- $name := $image.repository -}}
{{- with $top.Values.image.registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .) $name -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default $top.Values.image.tag | default $top.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The agent's service account. */}}
{{- define "atlhyper.agent.serviceAccount" -}}
{{- .Values.agent.serviceAccount.name | default (include "atlhyper.component" (list . "agent")) -}}
{{- end -}}

{{/*
A flag's value from a value of the chart: lists with commas, numbers without an exponent,
which helm would give large ones.
*/}}
{{- define "atlhyper.flag" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if kindIs "string" . -}}
{{- . -}}
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* The Secret that has the URL of Redis for a component, or nothing: (list . .Values.master). */}}
{{- define "atlhyper.redis.urlSecret" -}}
{{- $shared := (index . 0).Values.redis.urlSecret -}}
{{- $own := (index . 1).redis.urlSecret -}}
{{- if $own.name -}}{{ toYaml $own }}{{- else if $shared.name -}}{{ toYaml $shared }}{{- end -}}
{{- end -}}
