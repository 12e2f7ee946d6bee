#!/bin/sh
# Answers "hello NAME" to the text NAME. A call is a line of JSON, such as
# {"content_type":"text","data":"World"}; an answer is JSON, into a pipe.
answers=${STOA_FIFO:-/tmp/algoout}

echo PIPE_INIT_COMPLETE
while IFS= read -r line; do
  # The text stays as JSON writes it, with its quotes: it goes into the answer so.
  name=$(printf '%s\n' "$line" | sed -n 's/^{"content_type":"text","data":"\(.*\)"}$/"\1"/p')
  if [ -n "$name" ]; then
    printf '{"result":"hello %s,"metadata":{"content_type":"text"}}\n' "${name#\"}" >"$answers"
  else
    printf '{"error":{"message":"send a text","error_type":"InputError"}}\n' >"$answers"
  fi
done
