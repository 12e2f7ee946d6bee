{{- if .FileURL}}curl -sS {{quote .FileURL}} -o {{quote .File}}
{{end}}curl -sS {{quote .URL}} \
{{- if .Key}}
  -H "Authorization: Simple $STOA_KEY" \
{{- end}}
  -H 'Content-Type: {{.Type}}' \
  {{if .File}}--data-binary @{{quote .File}}{{else}}--data-raw {{quote .Text}}{{end}}{{if .Save}} \
  -o {{.Save}}{{end}}
