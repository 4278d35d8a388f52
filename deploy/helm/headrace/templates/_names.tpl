{{/* Names, labels, images. */}}

{{- define "headrace.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects all pods of a release. */}}
{{- define "headrace.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* (root, component): what selects the pods of one component. */}}
{{- define "headrace.componentSelector" -}}
{{ include "headrace.selector" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* (root, component): labels of an object. */}}
{{- define "headrace.labels" -}}
{{- $root := index . 0 -}}
{{ include "headrace.componentSelector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: headrace
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{/* (root, image values) */}}
{{- define "headrace.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "headrace.metricsPriority" -}}
{{- default (printf "%s-metrics" (include "headrace.fullname" .)) .Values.priorityClass.name -}}
{{- end -}}

{{/* The signals whose writers are enabled, by space. */}}
{{- define "headrace.signals" -}}
{{- $found := list -}}
{{- range $signal := list "traces" "metrics" "logs" -}}
{{- if (index $.Values.writer $signal).enabled }}{{ $found = append $found $signal }}{{ end -}}
{{- end -}}
{{- join " " $found -}}
{{- end -}}
