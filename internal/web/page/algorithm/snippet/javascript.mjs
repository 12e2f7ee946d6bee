{{if or .File .Save}}import { {{if .File}}readFile{{end}}{{if and .File .Save}}, {{end}}{{if .Save}}writeFile{{end}} } from "node:fs/promises";

{{end}}const answer = await fetch({{json .URL}}, {
  method: "POST",
  headers: {
{{- if .Key}}
    "Authorization": `Simple ${process.env.STOA_KEY}`,
{{- end}}
    "Content-Type": {{json .Type}},
  },
  body: {{if .File}}await readFile({{json .File}}){{else}}{{json .Text}}{{end}},
});
{{- if .Save}}
if (!answer.ok) throw new Error(await answer.text());
await writeFile({{json .Save}}, Buffer.from(await answer.arrayBuffer()));
{{- else}}
console.log(await answer.json());
{{- end}}
