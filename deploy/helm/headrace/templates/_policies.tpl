{{/* (from or to, peers, ports): one rule; without peers it is for everybody. */}}
{{- define "headrace.peers" -}}
- ports:
    {{- range index . 2 }}
    - {port: {{ . }}}
    {{- end }}
  {{- with index . 1 }}
  {{ index $ 0 }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Wherever it is: some clusters have a name server on every node. */}}
{{- define "headrace.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}
