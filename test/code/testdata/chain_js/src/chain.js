// The second of a chain: calls the third.
exports.apply = async (input) => {
  console.log("javascript has", JSON.stringify(input));
  const response = await fetch(process.env.ALGORITHMIA_API + "/v1/algo/" + (input.third || "admin/chain_go"), {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: "Simple " + process.env.ALGORITHMIA_API_KEY },
    body: JSON.stringify(input),
  });
  const body = await response.json();
  if (body.error) throw new Error(body.error.error_type + ": " + body.error.message);
  body.result.path = "javascript > " + body.result.path;
  body.result.ids.push(response.headers.get("x-request-id"));
  return body.result;
};
