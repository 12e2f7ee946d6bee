import json{{if .Key}}, os{{end}}, urllib.request

{{if .File}}with open({{json .File}}, "rb") as file:
    body = file.read()
{{else}}body = {{json .Text}}.encode()
{{end -}}
request = urllib.request.Request({{json .URL}}, body, {
{{- if .Key}}
    "Authorization": "Simple " + os.environ["STOA_KEY"],
{{- end}}
    "Content-Type": {{json .Type}},
})
with urllib.request.urlopen(request) as answer:
{{- if .Save}}
    with open({{json .Save}}, "wb") as file:
        file.write(answer.read())
{{- else}}
    print(json.dumps(json.load(answer), indent=2))
{{- end}}
